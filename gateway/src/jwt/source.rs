//! Where the issuer's keys are published: a file that somebody else keeps fresh, or a URL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// A key set has some kilobytes.
const MAX_BYTES: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Url(reqwest::Client, reqwest::Url),
}

impl Source {
    /// # Errors
    /// Both, neither, or a URL that is none.
    pub(super) fn new(file: Option<&Path>, url: Option<&str>) -> anyhow::Result<Self> {
        match (file, url) {
            (Some(file), None) => Ok(Self::File(file.to_owned())),
            (None, Some(url)) => {
                let parsed: reqwest::Url = url.parse().with_context(|| format!("jwt_jwks_url: {url} is no URL"))?;
                ensure!(
                    matches!(parsed.scheme(), "http" | "https"),
                    "jwt_jwks_url: {url} is not on the web"
                );
                let client = reqwest::Client::builder()
                    .timeout(TIMEOUT)
                    // Keys come from where the settings say, and from nowhere else.
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .context("could not prepare to fetch keys")?;
                Ok(Self::Url(client, parsed))
            }
            _ => bail!(
                "auth = jwt needs the issuer's keys from one place: set KASSA_JWT_JWKS_URL=… or KASSA_JWT_JWKS_FILE=…"
            ),
        }
    }

    /// The key set as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            // So short that no thread is needed for it.
            Self::File(path) => std::fs::read(path).with_context(|| format!("could not read {}", path.display())),
            Self::Url(client, url) => {
                let answer = client.get(url.clone()).send().await;
                let mut answer = answer.context("the key server does not answer")?;
                ensure!(answer.status() == 200, "the key server says {}", answer.status());
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.context("the key server broke off")? {
                    bytes.extend_from_slice(&chunk);
                    ensure!(
                        bytes.len() <= MAX_BYTES,
                        "the key server sends more than {MAX_BYTES} bytes"
                    );
                }
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_one_place() {
        let (file, url) = (Some(Path::new("keys.json")), Some("https://issuer.example/keys"));
        assert!(Source::new(file, None).is_ok() && Source::new(file, url).is_err() && Source::new(None, None).is_err());
        for wrong in ["issuer.example", "file:///keys.json", ""] {
            assert!(Source::new(None, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
