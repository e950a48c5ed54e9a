//! TLS as the web config file asks for it.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::file::{RawTls, Reading};

/// What is spoken within TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// How connections are encrypted.
pub struct Tls {
    /// For handshakes.
    pub config: Arc<ServerConfig>,
    /// A client without a certificate is refused.
    pub asks_for_certificate: bool,
    /// Names of which a client's certificate must bear one; empty: any.
    pub allowed_sans: Vec<String>,
}

impl Tls {
    pub(super) fn read(raw: &RawTls, reading: &mut Reading) -> Option<Self> {
        let certificates = certificates(raw, reading);
        let key = key(raw, reading);
        let provider = Arc::new(provider(raw, reading)?);
        let client = client_auth(raw, &provider, reading)?;
        let versions = versions(raw, reading)?;
        let (certificates, key) = (certificates?, key?);
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = match builder {
            Ok(builder) => builder,
            Err(error) => {
                let why =
                    format!("min_version, max_version and cipher_suites leave nothing to speak: {error}");
                reading.problem("tls_server_config", why);
                return None;
            }
        };
        let builder = match &client {
            Some((verifier, _)) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        match builder.with_single_cert(certificates, key) {
            Ok(mut config) => {
                config.alpn_protocols = vec![PROTOCOL.to_vec()];
                config.ignore_client_order = raw.prefer_server_cipher_suites.unwrap_or(true);
                Some(Self {
                    config: Arc::new(config),
                    asks_for_certificate: client.is_some_and(|(_, is_needed)| is_needed),
                    allowed_sans: raw.client_allowed_sans.clone(),
                })
            }
            Err(error) => {
                reading.problem("tls_server_config", format!("certificate and key can't be used: {error}"));
                None
            }
        }
    }
}

fn certificates(raw: &RawTls, reading: &mut Reading) -> Option<Vec<CertificateDer<'static>>> {
    let (inline, named) = (raw.cert.as_deref(), raw.cert_file.as_deref());
    if inline.is_none() && named.is_none() {
        reading.problem("tls_server_config.cert_file", "is missing: name the certificate, as PEM");
    }
    let bytes = reading.bytes("tls_server_config.cert", inline, named)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        _ => {
            reading.problem(
                "tls_server_config.cert",
                "holds no certificate: write it as PEM, the server's own first",
            );
            None
        }
    }
}

fn key(raw: &RawTls, reading: &mut Reading) -> Option<PrivateKeyDer<'static>> {
    let (inline, named) = (raw.key.as_deref(), raw.key_file.as_deref());
    if inline.is_none() && named.is_none() {
        reading.problem("tls_server_config.key_file", "is missing: name the key, as PEM");
    }
    let bytes = reading.bytes("tls_server_config.key", inline, named)?;
    // The error might quote the key.
    let key = PrivateKeyDer::from_pem_slice(&bytes).ok();
    if key.is_none() {
        reading
            .problem("tls_server_config.key", "holds no private key: write it as PEM, without a passphrase");
    }
    key
}

/// How clients prove who they are, and whether they must. The outer value is none if something is wrong.
type ClientAuth = Option<(Arc<dyn ClientCertVerifier>, bool)>;

fn client_auth(raw: &RawTls, provider: &Arc<CryptoProvider>, reading: &mut Reading) -> Option<ClientAuth> {
    let key = "tls_server_config.client_auth_type";
    let kind = raw.client_auth_type.as_deref().unwrap_or("NoClientCert");
    let has_ca = raw.client_ca.is_some() || raw.client_ca_file.is_some();
    let is_needed = match kind {
        "NoClientCert" if has_ca => {
            reading.problem(key, "is missing beside client_ca_file: write RequireAndVerifyClientCert");
            return None;
        }
        "NoClientCert" | "" => {
            if !raw.client_allowed_sans.is_empty() {
                let why = "needs `client_auth_type: RequireAndVerifyClientCert`: without a certificate there are no names";
                reading.problem("tls_server_config.client_allowed_sans", why);
                return None;
            }
            return Some(None);
        }
        "RequireAndVerifyClientCert" => true,
        "VerifyClientCertIfGiven" if raw.client_allowed_sans.is_empty() => false,
        "VerifyClientCertIfGiven" => {
            let why =
                "needs `client_auth_type: RequireAndVerifyClientCert`: others may come without a certificate";
            reading.problem("tls_server_config.client_allowed_sans", why);
            return None;
        }
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            let why = format!(
                "{kind} checks nothing of the certificate and is not served: write RequireAndVerifyClientCert"
            );
            reading.problem(key, why);
            return None;
        }
        _ => {
            reading
                .problem(key, "must be NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert");
            return None;
        }
    };
    let verifier = verifier(raw, provider, is_needed, reading)?;
    Some(Some((verifier, is_needed)))
}

fn verifier(
    raw: &RawTls,
    provider: &Arc<CryptoProvider>,
    is_needed: bool,
    reading: &mut Reading,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let key = "tls_server_config.client_ca";
    if raw.client_ca.is_none() && raw.client_ca_file.is_none() {
        reading.problem(
            "tls_server_config.client_ca_file",
            "is missing: name whom to trust with clients' certificates",
        );
    }
    let bytes = reading.bytes(key, raw.client_ca.as_deref(), raw.client_ca_file.as_deref())?;
    let mut roots = RootCertStore::empty();
    let added = CertificateDer::pem_slice_iter(&bytes)
        .filter_map(Result::ok)
        .filter(|root| roots.add(root.clone()).is_ok());
    if added.count() == 0 {
        reading.problem(key, "holds no certificate of an authority: write it as PEM");
        return None;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if is_needed { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| reading.problem(key, format!("can't be used: {error}"))).ok()
}

fn versions(raw: &RawTls, reading: &mut Reading) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let mut read = |key: &str, text: Option<&str>, default: u8| match text {
        None | Some("") => Some(default),
        Some("TLS12") => Some(12),
        Some("TLS13") => Some(13),
        Some("TLS10" | "TLS11") if key == "min_version" => {
            // No client is left out that has anything newer.
            reading.problem(
                &format!("tls_server_config.{key}"),
                "TLS 1.0 and 1.1 are not served: write TLS12 or TLS13",
            );
            None
        }
        Some(_) => {
            reading.problem(&format!("tls_server_config.{key}"), "must be TLS12 or TLS13");
            None
        }
    };
    let least = read("min_version", raw.min_version.as_deref(), 12);
    let most = read("max_version", raw.max_version.as_deref(), 13);
    let (least, most) = (least?, most?);
    let all = [(12, &version::TLS12), (13, &version::TLS13)];
    let versions: Vec<_> = all
        .into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        reading.problem("tls_server_config.min_version", "is above max_version");
        return None;
    }
    Some(versions)
}

/// Ciphers and groups, those that are named in their order.
fn provider(raw: &RawTls, reading: &mut Reading) -> Option<CryptoProvider> {
    let mut provider = ring::default_provider();
    let before = (provider.cipher_suites.clone(), provider.kx_groups.clone());
    if !raw.cipher_suites.is_empty() {
        // The list is about TLS 1.2: those of 1.3 can't be chosen in the format either.
        let mut chosen: Vec<_> = before.0.iter().filter(|suite| suite.tls13().is_some()).copied().collect();
        for name in &raw.cipher_suites {
            let is_it = |suite: &&rustls::SupportedCipherSuite| suite_name(suite) == *name;
            match before.0.iter().find(is_it) {
                Some(suite) if suite.tls13().is_none() => chosen.push(*suite),
                Some(_) => {}
                None => {
                    let known: Vec<String> =
                        before.0.iter().filter(|suite| suite.tls13().is_none()).map(suite_name).collect();
                    let why = format!("{name:?} is not served: there are {}", known.join(", "));
                    reading.problem("tls_server_config.cipher_suites", why);
                    return None;
                }
            }
        }
        provider.cipher_suites = chosen;
    }
    if !raw.curve_preferences.is_empty() {
        provider.kx_groups.clear();
        for name in &raw.curve_preferences {
            let known = [("X25519", "X25519"), ("CurveP256", "secp256r1"), ("CurveP384", "secp384r1")];
            let group = known.iter().find(|(known, _)| known == name).and_then(|(_, ours)| {
                before.1.iter().find(|group| format!("{:?}", group.name()).eq_ignore_ascii_case(ours))
            });
            match group {
                Some(group) => provider.kx_groups.push(*group),
                None => {
                    let why = format!("{name:?} is not served: there are X25519, CurveP256, CurveP384");
                    reading.problem("tls_server_config.curve_preferences", why);
                    return None;
                }
            }
        }
    }
    Some(provider)
}

/// A cipher's name as the format has it, which is that of the standard.
fn suite_name(suite: &rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

/// Whether a client's certificate bears one of these names: DNS, IP, e-mail or URI, exactly.
pub fn is_allowed(certificate: &CertificateDer<'_>, allowed: &[String]) -> bool {
    if allowed.is_empty() {
        return true;
    }
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let names = &names.value.general_names;
    names.iter().filter_map(name_of).any(|name| allowed.contains(&name))
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            };
            Some(address.to_string())
        }
        _ => None,
    }
}
