//! Which paths there are, and with which methods: 404, 405 and `Allow` come from here, before anything else is asked.

use http::Method;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, metrics, documents.
    Public,
    /// Users, through the gateway.
    User,
}

/// A path with its methods. `{x}` stands for one segment, a last `*` for any rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// For example `/orders/{id}`.
    pub path: &'static str,
    /// As `Allow` lists them, HEAD and OPTIONS aside; for example `GET, POST`.
    pub methods: &'static str,
    /// Who may call it.
    pub access: Access,
}

impl RouteRule {
    /// A route for anybody.
    #[must_use]
    pub const fn public(path: &'static str, methods: &'static str) -> Self {
        Self {
            path,
            methods,
            access: Access::Public,
        }
    }

    /// A route for users.
    #[must_use]
    pub const fn user(path: &'static str, methods: &'static str) -> Self {
        Self {
            path,
            methods,
            access: Access::User,
        }
    }

    fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/');
        for expected in self.path.split('/') {
            if expected == "*" {
                return given.next().is_some();
            }
            match given.next() {
                Some(segment) if segment == expected => {}
                Some(segment) if expected.starts_with('{') && !segment.is_empty() => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }

    /// Whether a method can be served; HEAD is served as GET.
    #[must_use]
    pub fn allows(&self, method: &Method) -> bool {
        let method = if *method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        self.methods.split(", ").any(|allowed| allowed == method)
    }

    /// The value of `Allow`.
    #[must_use]
    pub fn allow(&self) -> String {
        let head = if self.allows(&Method::GET) { ", HEAD" } else { "" };
        format!("{}{head}, OPTIONS", self.methods)
    }
}

/// The rule for a path.
#[must_use]
pub fn find<'a>(rules: &'a [RouteRule], path: &str) -> Option<&'a RouteRule> {
    rules.iter().find(|rule| rule.matches(path))
}

/// What every process serves beside its own routes.
pub const ADMIN: [RouteRule; 3] = [
    RouteRule::public("/health/live", "GET"),
    RouteRule::public("/health/ready", "GET"),
    RouteRule::public("/metrics", "GET"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_whole_and_strictly() {
        let rules = [
            RouteRule::user("/things", "GET, POST"),
            RouteRule::user("/things/{id}", "GET"),
            RouteRule::public("/docs/*", "GET"),
        ];
        let found = |path| find(&rules, path).map(|rule| rule.path);
        assert_eq!(found("/things"), Some("/things"));
        assert_eq!(found("/things/1"), Some("/things/{id}"));
        assert_eq!(found("/docs/a/b.js"), Some("/docs/*"));
        for path in ["/", "/thing", "/things/", "/things/1/2", "//things", "/docs"] {
            assert_eq!(found(path), None, "{path}");
        }
        assert!(rules[0].allows(&Method::HEAD) && !rules[1].allows(&Method::POST));
        assert_eq!(rules[0].allow(), "GET, POST, HEAD, OPTIONS");
    }
}
