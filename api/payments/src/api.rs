//! The operations on accounts.

use http_kit::idempotency_key::{idempotency_key, in_progress, key_reused};
use http_kit::openapi::User;
use http_kit::page;
use http_kit::problem::{Code, Problem};
use payments::accounts::{find_account, list_transactions};
use payments::{OpenAccount, OpenAccounts, TopUp, TopUpAccounts, ToppedUp};
use poem::http::HeaderMap;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi, Tags};
use sqlx::PgPool;
use streams::Batcher;
use streams::request_keys::{Keyed, RequestKey};
use uuid::Uuid;

use crate::json::{Account, TopUpRequest, TransactionLine};

#[derive(Tags)]
enum Tag {
    /// One account a user: its balance, and every change of it.
    Accounts,
}

fn key_example() -> Option<String> {
    Some("top-up-1".to_owned())
}

/// Serves accounts.
#[derive(Clone, Debug)]
pub struct PaymentsApi {
    pub(crate) pool: PgPool,
    pub(crate) open: Batcher<OpenAccounts>,
    pub(crate) top_up: Batcher<TopUpAccounts>,
}

#[derive(ApiResponse)]
enum OpenAnswer {
    /// The account that was opened.
    #[oai(status = 201)]
    Opened(Json<Account>),
    /// The account that was there.
    #[oai(status = 200)]
    Known(Json<Account>),
}

#[derive(ApiResponse)]
enum TopUpAnswer {
    /// The account after the top-up.
    #[oai(status = 200)]
    Done(
        Json<Account>,
        /// `true`: this is the first answer again.
        #[oai(header = "Idempotent-Replayed")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum TransactionsAnswer {
    /// A page, newest first.
    #[oai(status = 200)]
    Page(
        Json<Vec<TransactionLine>>,
        /// The next page, if there is one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

#[OpenApi(tag = "Tag::Accounts")]
impl PaymentsApi {
    /// Open an account
    ///
    /// A user has one account. Of parallel requests exactly one answers 201, the others 200 with the same account.
    #[oai(path = "/accounts", method = "post", operation_id = "openAccount")]
    async fn open_account(&self, user: User) -> poem::Result<OpenAnswer> {
        let request = OpenAccount {
            user_id: user.0.0,
            account_id: Uuid::now_v7(),
        };
        let opened = self.open.submit(request).await.map_err(Problem::from)?;
        let account = Json(opened.account.into());
        Ok(if opened.is_new {
            OpenAnswer::Opened(account)
        } else {
            OpenAnswer::Known(account)
        })
    }

    /// Top the account up
    ///
    /// Adds to the balance, which can be 9999999999999.99 at most.
    #[oai(path = "/accounts/topup", method = "post", operation_id = "topUpAccount")]
    async fn top_up_account(
        &self,
        user: User,
        /// Your name for this request, 1 to 255 visible characters, bare or in quotes. The same key and body again
        /// get the first answer again and add nothing; another body under the same key is refused. Take a new one for
        /// each new top-up.
        #[oai(name = "Idempotency-Key", example = "key_example")]
        _key: Header<Option<String>>,
        headers: &HeaderMap,
        body: Json<TopUpRequest>,
    ) -> poem::Result<TopUpAnswer> {
        let user_id = user.0.0;
        let amount = body.0.amount;
        let key = idempotency_key(headers)?.map(|key| RequestKey {
            scope: user_id.clone(),
            route: "POST /accounts/topup",
            key,
            fingerprint: amount.to_string().into_bytes(),
        });
        let request = TopUp {
            line_id: Uuid::now_v7(),
            user_id,
            amount,
            key,
        };
        let (answer, replayed) = match self.top_up.submit(request).await.map_err(Problem::from)? {
            Keyed::First(answer) => (answer, None),
            Keyed::Replayed(answer) => (answer, Some("true".to_owned())),
            Keyed::KeyReused => return Err(key_reused().into()),
            Keyed::InProgress => return Err(in_progress().into()),
        };
        match answer {
            ToppedUp::Done(account) => Ok(TopUpAnswer::Done(Json(account.into()), replayed)),
            ToppedUp::AccountNotFound => Err(no_account().into()),
            ToppedUp::BalanceLimitExceeded => {
                let detail = "the balance would pass 9999999999999.99";
                Err(Problem::new(Code::BalanceLimitExceeded, detail)
                    .at("/amount", detail)
                    .into())
            }
        }
    }

    /// Look at the account
    ///
    /// Its balance as of now.
    #[oai(path = "/accounts/balance", method = "get", operation_id = "getBalance")]
    async fn get_balance(&self, user: User) -> poem::Result<Json<Account>> {
        let found = find_account(&self.pool, &user.0.0).await.map_err(Problem::from)?;
        Ok(Json(found.ok_or_else(no_account)?.into()))
    }

    /// List what changed the balance
    ///
    /// Top-ups and payments, newest first, a page at a time: `Link` leads to the next one, and is not there on the last.
    #[oai(path = "/accounts/transactions", method = "get", operation_id = "listTransactions")]
    async fn list_transactions(
        &self,
        user: User,
        /// Rows per page, 1 to 100; 50 if it is left out.
        limit: Query<Option<u32>>,
        /// From the `Link` of the page before.
        cursor: Query<Option<u64>>,
    ) -> poem::Result<TransactionsAnswer> {
        let limit = page::limit(limit.0)?;
        // A version: the first change of a balance is number 1.
        let before = cursor
            .0
            .map(i64::try_from)
            .transpose()
            .map_err(|_| page::wrong_cursor())?;
        if before == Some(0) {
            return Err(page::wrong_cursor().into());
        }
        let rows = list_transactions(&self.pool, &user.0.0, before, limit + 1)
            .await
            .map_err(Problem::from)?;
        let mut rows = rows.ok_or_else(no_account)?;
        let next = page::cut(&mut rows, limit, |line| line.version);
        let link = next.map(|cursor| page::link_next("/accounts/transactions", limit, &cursor.to_string(), ""));
        Ok(TransactionsAnswer::Page(
            Json(rows.into_iter().map(TransactionLine::from).collect()),
            link,
        ))
    }
}

fn no_account() -> Problem {
    Problem::new(Code::AccountNotFound, "open an account first: POST /accounts")
}
