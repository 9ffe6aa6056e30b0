//! Swagger UI with everything in one page: nothing is loaded from elsewhere. It reads `/openapi.json`.

use poem_openapi::OpenApiService;

/// Forms are open and remember who asks; no badge of a validator elsewhere.
const OPTIONS: &str = "url: \"/openapi.json\", tryItOutEnabled: true, persistAuthorization: true, \
                       displayRequestDuration: true, defaultModelsExpandDepth: 0, validatorUrl: null,";

/// Its title, and no icon, or browsers would ask for one.
const HEAD: &str = "<title>Kassa API</title><link rel=\"icon\" href=\"data:,\">";

/// The page for people, `/docs`.
///
/// # Panics
/// If poem-openapi's page is made in another way than it was.
#[must_use]
pub fn swagger_page() -> String {
    let empty = OpenApiService::new((), "Kassa", "1");
    let page = empty.swagger_ui_html();
    let (head, tail) = page
        .rsplit_once("spec: spec,")
        .expect("the page hands its document over");
    format!("{head}{OPTIONS}{tail}").replacen("<title>Swagger UI</title>", HEAD, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let page = swagger_page();
        assert!(page.contains("url: \"/openapi.json\"") && page.contains("<title>Kassa API</title>"));
        for outside in ["src=\"http", "href=\"http", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
