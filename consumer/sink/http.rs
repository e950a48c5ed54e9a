//! Posting JSON over HTTP, with the authentication and the certificates that the config names.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Identity, StatusCode, Url};

use super::SendError;

/// A request takes no longer than this.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Making the connection takes no longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a refusal that are shown.
const SHOWN_BYTES: usize = 300;

/// Where to post, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// The address, without credentials.
    pub url: Url,
    /// Name and password.
    pub basic_auth: Option<BasicAuth>,
    /// Certificates.
    pub tls: Tls,
}

/// Name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As the config has it.
    Text(String),
    /// In a file, read for each request, so that it can be changed.
    File(PathBuf),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// Certificates, as files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whom to trust instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Takes any certificate.
    pub insecure_skip_verify: bool,
}

impl HttpTarget {
    /// Host and port; and, where there is a path or a query, a number made of them: they may be a secret.
    pub fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let rest = (self.url.path().trim_end_matches('/'), self.url.query().unwrap_or_default());
        if rest == ("", "") {
            return format!("{host}:{port}");
        }
        let number = xxhash_rust::xxh3::xxh3_64(format!("{}?{}", rest.0, rest.1).as_bytes()) as u32;
        format!("{host}:{port}/{number:08x}")
    }
}

/// Posts to one target.
pub struct Client {
    client: reqwest::Client,
    target: HttpTarget,
}

impl Client {
    /// A client for `target`.
    ///
    /// # Errors
    /// A certificate can't be read, in words that name the file.
    pub fn new(target: HttpTarget) -> anyhow::Result<Self> {
        // A provider that is there already serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("trailmeter/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(target.tls.insecure_skip_verify);
        if let Some(path) = &target.tls.ca_file {
            let certificates = Certificate::from_pem_bundle(&read(path)?).map_err(|_| not_pem(path))?;
            anyhow::ensure!(!certificates.is_empty(), not_pem(path));
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &target.tls.identity {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder = builder.identity(Identity::from_pem(&pem).map_err(|_| not_pem(certificate))?);
        }
        let client = builder.build().map_err(|error| {
            anyhow::anyhow!("the certificates can't be used: {}", causes(&error.without_url()))
        })?;
        Ok(Self { client, target })
    }

    /// Posts a JSON text to the target's address with `path` behind it.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) async fn post(&self, path: &str, json: Vec<u8>) -> Result<(), SendError> {
        let mut url = self.target.url.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        if url.path().is_empty() {
            url.set_path("/");
        }
        let mut request = self.client.post(url).header("content-type", "application/json").body(json);
        if let Some(auth) = &self.target.basic_auth {
            let password = password(&auth.password)?;
            request = request.basic_auth(&auth.username, Some(password));
        }
        let answer = request.send().await.map_err(|error| SendError::Failed(causes(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let message = format!("{status}: {}", crate::callers::plain(begin_of(answer).await.trim()));
        Err(match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                SendError::Refused(message)
            }
            // A wrong password or path is mended by someone, and then everything is sent.
            _ => SendError::Failed(message),
        })
    }
}

/// The first bytes of an answer, as text.
async fn begin_of(mut answer: reqwest::Response) -> String {
    let mut begin = Vec::new();
    while begin.len() < SHOWN_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        begin.extend_from_slice(&chunk[..chunk.len().min(SHOWN_BYTES)]);
    }
    begin.truncate(SHOWN_BYTES);
    String::from_utf8_lossy(&begin).into_owned()
}

fn password(password: &Password) -> Result<String, SendError> {
    match password {
        Password::Text(text) => Ok(text.clone()),
        Password::File(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| SendError::Failed(format!("{}: {error}", path.display())))?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
    }
}

/// An error with what caused it: the outermost alone says next to nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

fn not_pem(path: &std::path::Path) -> anyhow::Error {
    anyhow::anyhow!("{}: holds no certificate in PEM", path.display())
}
