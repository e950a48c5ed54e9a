//! A request's parameters, read strictly: what is not known is an error, not ignored.

use axum::extract::Query;
use axum::http::Uri;

use super::cursor::Cursor;
use super::error::ApiError;
use crate::event::judge::Weakness;
use crate::event::time;
use crate::window::WindowSize;

/// Rows in a list when `limit` says nothing.
const DEFAULT_LIMIT: usize = 100_000;
/// Most rows in a list: about 150 MB of JSON.
const MAX_LIMIT: usize = 1_000_000;

/// The parameters of a request.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    /// One is not among those `known`, or is given twice, or they are not encoded as a URL's are.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            ApiError::bad_request("the part after `?` is not NAME=VALUE&…: percent-encode the values")
        })?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            if pairs[..at].iter().any(|(other, _)| other == name) {
                return Err(ApiError::bad_request(format!("`{name}` is given twice: give it once")));
            }
        }
        Ok(Self(pairs))
    }

    /// Those that have a value: a form sends its empty fields, too.
    pub fn with_values(self) -> Self {
        Self(self.0.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The parameter `window`.
    ///
    /// # Errors
    /// It is missing or none of the windows.
    pub fn window(&self) -> Result<WindowSize, ApiError> {
        let error = || ApiError::bad_request("`window` is needed and must be `5m`, `1h` or `24h`");
        self.get("window").and_then(WindowSize::parse).ok_or_else(error)
    }

    /// The parameter `weakness`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn weakness(&self) -> Result<Option<Weakness>, ApiError> {
        let error = || {
            let names = Weakness::ALL.map(|weakness| format!("`{}`", weakness.label()));
            ApiError::bad_request(format!(
                "`weakness` must be one of {}, or left out for all",
                names.join(", ")
            ))
        };
        self.get("weakness").map(|text| Weakness::parse(text).ok_or_else(error)).transpose()
    }

    /// The parameter `at`, in seconds since 1970.
    ///
    /// # Errors
    /// It is no time.
    pub fn at_s(&self) -> Result<Option<i64>, ApiError> {
        let error = || {
            ApiError::bad_request(
                "`at` is no time: write it in UTC like `2023-07-10T11:42:18Z`, or leave it out for now",
            )
        };
        self.get("at").map(|text| time::parse(text).ok_or_else(error)).transpose()
    }

    /// Whether a parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A parameter that may be any text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The parameter `limit`.
    ///
    /// # Errors
    /// It is no number, or out of bounds.
    pub fn limit(&self) -> Result<usize, ApiError> {
        self.limit_or(DEFAULT_LIMIT)
    }

    /// The parameter `limit`, with another default.
    ///
    /// # Errors
    /// It is no number, or out of bounds.
    pub fn limit_or(&self, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| ApiError::bad_request(format!("`limit` must be a number from 1 to {MAX_LIMIT}")))
    }

    /// The parameter `cursor`.
    ///
    /// # Errors
    /// It is none that was given out here.
    pub fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        self.get("cursor").map(|text| Cursor::read(text).ok_or_else(bad_cursor)).transpose()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A cursor that was not given out for this list.
pub fn bad_cursor() -> ApiError {
    ApiError::bad_request(
        "`cursor` is not one of this list: pass on `next_cursor` of its last page unchanged, \
         or leave it out to begin",
    )
}

fn unknown(name: &str, known: &[&str]) -> ApiError {
    // A name is the client's own text; it is shown as far as a slip of the finger goes.
    let name: String = name.chars().take(40).collect();
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    ApiError::bad_request(match known.as_slice() {
        [] => format!("unknown parameter `{name}`: this path takes none"),
        _ => format!("unknown parameter `{name}`: this path takes {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, ApiError> {
        let uri = format!("/x?{query}").parse().unwrap();
        Parameters::read(&uri, &["window", "at", "limit", "cursor"])
    }

    #[test]
    fn values() {
        let parameters = read("window=24h&at=2023-07-10T11%3A42%3A18Z&limit=7").unwrap();
        assert_eq!(parameters.window().unwrap(), WindowSize::Day);
        assert_eq!(parameters.at_s().unwrap(), Some(1_688_989_338));
        assert_eq!(parameters.limit().unwrap(), 7);
        assert_eq!(parameters.cursor().unwrap(), None);
        assert_eq!(read("").unwrap().limit().unwrap(), DEFAULT_LIMIT);
    }

    #[test]
    fn slips() {
        for query in ["windo=5m", "window=5m&window=5m", "%FF=1", "window=5m&=", "limit"] {
            assert!(read(query).and_then(|read| read.limit()).is_err(), "{query}");
        }
        for limit in ["0", "-1", "1000001", "1e3", "", "99999999999999999999"] {
            assert!(read(&format!("limit={limit}")).unwrap().limit().is_err(), "{limit}");
        }
    }
}
