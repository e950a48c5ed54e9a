//! What to do about a weak caller: one table, by weakness and client, for pages, API and reports.
//!
//! Sources: the table of client versions that sign with SigV4 by default (see [`crate::event::client`]); which
//! regions' presigned links boto3, the AWS CLI and the JavaScript SDK v2 sign with SigV2 (seen by running boto3 1.12
//! to 1.44.5, aws-cli 1.46.3 and aws-sdk-js 2; boto/botocore issue 3791); the longest validity of a SigV4 link, 7
//! days (S3 user guide, "Sharing objects with presigned URLs"); which operating systems and runtimes lack TLS 1.2
//! (AWS security blog, "TLS 1.2 to become the minimum TLS protocol level for all AWS API endpoints").

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::{CallerKey, Detail, Row};
use crate::event::client::{self, Client};
use crate::event::judge::Weakness;

/// What to do about a caller with this weakness, of whom this is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its principal.
    pub principal: &'a str,
    /// The user agent, or name and version of the client; empty if not known.
    pub client: &'a str,
    /// Calls came through presigned links.
    pub is_presigned: bool,
}

/// What to do, in whole sentences.
pub fn advice(weakness: Weakness, known: Known<'_>) -> String {
    match weakness {
        Weakness::SigV2 if known.is_presigned => presigned_sigv2().to_owned(),
        Weakness::SigV2 => sigv2(known.client),
        Weakness::Tls10 | Weakness::Tls11 => old_tls(known.client),
        Weakness::LongTermKey => long_term_key(known.principal, known.client),
    }
}

/// What to do about a caller, piece by piece, by its clients and the hints at what they run on.
pub fn of_caller(key: CallerKey<'_>, row: &Row, lists: &[Vec<String>; Detail::COUNT]) -> Vec<String> {
    let [clients, hints] = [Detail::Client, Detail::Hint].map(|detail| &lists[detail as usize]);
    // A hint of the runtime or the place tells more than the client does.
    let is_hinted = key.weakness != Weakness::SigV2 && !hints.is_empty();
    let clients = if is_hinted { hints } else { clients }.iter().map(String::as_str);
    pieces(key.weakness, key.principal, Presigned::of(row.presigned, row.calls), clients)
}

/// A piece of advice that serves several callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What to do.
    pub advice: String,
    /// About which weaknesses, the gravest first.
    pub weaknesses: Vec<Weakness>,
    /// For how many weaknesses of callers.
    pub callers: u64,
}

/// Each piece of advice to these callers once: those about the gravest weakness first, of one weakness that which serves
/// most.
pub fn gather<'a>(
    callers: impl Iterator<Item = (CallerKey<'a>, &'a Row, &'a [Vec<String>; Detail::COUNT])>,
) -> Vec<Shared> {
    let mut served: HashMap<String, (BTreeSet<Weakness>, u64)> = HashMap::new();
    for (key, row, lists) in callers {
        for piece in of_caller(key, row, lists) {
            let (weaknesses, callers) = served.entry(piece).or_default();
            weaknesses.insert(key.weakness);
            *callers += 1;
        }
    }
    let shared = served.into_iter().map(|(advice, (weaknesses, callers))| Shared {
        advice,
        weaknesses: weaknesses.into_iter().collect(),
        callers,
    });
    let mut shared: Vec<Shared> = shared.collect();
    shared.sort_by(|left, right| {
        let order = |shared: &Shared| (shared.weaknesses[0], Reverse(shared.callers));
        order(left).cmp(&order(right)).then_with(|| left.advice.cmp(&right.advice))
    });
    shared
}

/// What to do, for several clients: each piece of advice once, in the order of the clients; that on links comes last.
pub fn pieces<'a>(
    weakness: Weakness,
    principal: &str,
    presigned: Presigned,
    clients: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |client: &str| {
        let piece = advice(weakness, Known { principal, client, is_presigned: false });
        if !all.contains(&piece) {
            all.push(piece);
        }
    };
    if presigned != Presigned::All {
        let mut clients = clients.peekable();
        if clients.peek().is_none() {
            add("");
        }
        clients.for_each(&mut add);
    }
    let links = (presigned != Presigned::None)
        .then(|| advice(weakness, Known { principal, client: "", is_presigned: true }));
    all.truncate(MOST_PIECES - 1);
    all.extend(links.filter(|links| !all.contains(links)));
    all
}

/// Pieces of advice for one caller: more would be read by nobody.
const MOST_PIECES: usize = 4;

/// Which of a caller's calls came through presigned links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presigned {
    /// None.
    None,
    /// Some.
    Some,
    /// All.
    All,
}

impl Presigned {
    /// Of so many calls.
    pub fn of(presigned: u64, calls: u64) -> Self {
        match presigned {
            0 => Self::None,
            presigned if presigned >= calls => Self::All,
            _ => Self::Some,
        }
    }
}

fn presigned_sigv2() -> &'static str {
    "Set the signature version and the region where links are made: this principal signs links with SigV2; whoever opens \
     them (client, IP) has no part in that. Upgrading won't help: boto3 and the AWS CLI sign links with SigV2 by default \
     for us-east-1, eu-west-1 and us-west-2, also in their newest versions, and the JavaScript SDK v2 does for us-east-1. \
     It is Config(signature_version='s3v4') and region_name in boto3, `aws configure set default.s3.signature_version \
     s3v4`, signatureVersion: 'v4' in JavaScript. A link that must be valid for more than 7 days can't be signed with \
     SigV4: make links on demand, or use CloudFront signed URLs."
}

/// How each client is told to sign with SigV4, and from which version on it does so by itself.
const SIGV2_CLIENTS: [(&str, &str, &str); 11] = [
    (
        "boto3",
        "Boto3 1.4.6 with Botocore 1.5.71",
        "signature_version='s3' in a Config, or `s3.signature_version` in ~/.aws/config",
    ),
    (
        "botocore",
        "Botocore 1.5.71",
        "signature_version='s3' in a Config, or `s3.signature_version` in ~/.aws/config",
    ),
    ("boto", "boto3 (Boto 2 has been given up; 2.49.0 can do SigV4)", "S3_USE_SIGV4 not set"),
    ("aws-cli", "AWS CLI 1.11.108, or any of version 2", "`s3.signature_version` in ~/.aws/config"),
    ("aws-sdk-java", "AWS SDK for Java 1.11.201, or any of version 2", "setSignerOverride(\"S3SignerType\")"),
    ("aws-sdk-nodejs", "AWS SDK for JavaScript 2.68.0, better version 3", "signatureVersion: 's3' or 'v2'"),
    ("aws-sdk-js", "AWS SDK for JavaScript 2.68.0, better version 3", "signatureVersion: 's3' or 'v2'"),
    ("aws-sdk-php", "AWS SDK for PHP 3", "'signature' => 'v2' in the client's options"),
    ("aws-sdk-ruby", "AWS SDK for Ruby 3", "s3_signature_version or signature_version: 's3'"),
    ("aws-sdk-dotnet", "AWS SDK for .NET 3.3.0.0", "AWSConfigsS3.UseSignatureVersion4 = false"),
    ("awspowershell", "AWS Tools for PowerShell 3.3.0.0", "a profile or script that asks for SigV2"),
];

fn sigv2(user_agent: &str) -> String {
    let Some(client) = client::client(user_agent) else { return UNKNOWN_SIGNER.to_owned() };
    let name = client.name.to_ascii_lowercase();
    let is_never = name.starts_with("aws-sdk-dotnet")
        && client::signs_with_sigv4_by_default(user_agent) == Some(false)
        && ["pcl", "xamarin", "uwp"].iter().any(|platform| name.contains(platform));
    if is_never {
        return format!(
            "{} never signs with SigV4 by itself: set AWSConfigsS3.UseSignatureVersion4 = true, or move to the AWS \
             SDK for .NET on .NET Standard.",
            shown(client)
        );
    }
    // The longest name that fits: boto3 is not boto.
    let fits = SIGV2_CLIENTS.iter().filter(|(prefix, ..)| name.starts_with(prefix));
    let Some((_, first, setting)) = fits.max_by_key(|(prefix, ..)| prefix.len()) else {
        return match client::signs_with_sigv4_by_default(user_agent) {
            Some(true) => format!(
                "{} has always signed with SigV4: other code signs in its name, or the program asks for SigV2 itself. \
                 Find it by its access key id and source IP.",
                shown(client)
            ),
            _ => UNKNOWN_SIGNER.to_owned(),
        };
    };
    if client::signs_with_sigv4_by_default(user_agent) == Some(false) {
        return format!(
            "Upgrade {} to {first} or newer: from there on S3 requests are signed with SigV4 by default.",
            shown(client)
        );
    }
    format!(
        "{} signs with SigV4 unless told otherwise, so upgrading won't help: look for {setting}, and remove it.",
        shown(client)
    )
}

const UNKNOWN_SIGNER: &str = "The client does not tell which SDK signs: find the program by its access key id and \
     source IP. If it signs by itself or uses a library for S3-compatible stores, set that to SigV4 (AWS4-HMAC-SHA256) \
     and name the bucket's region.";

/// A runtime or system without TLS 1.2, told by how a product of a user agent begins; and the way out.
const OLD_TLS: [(&str, &str); 13] = [
    (
        "java/1.6",
        "Java 6 has no TLS 1.2: upgrade to Java 8 or newer (Oracle's paid 6u121 is the least that has it).",
    ),
    (
        "java/1.7",
        "Java 7 leaves TLS 1.2 off: upgrade to Java 8 or newer; until then start it with \
         -Djdk.tls.client.protocols=TLSv1.2 (from 7u95 on; older ones take -Dhttps.protocols=TLSv1.2).",
    ),
    (".net_runtime/2", OLD_NET),
    (".net_runtime/3", OLD_NET),
    (
        ".net_runtime/4",
        "This .NET Framework does not ask for TLS 1.2 by itself: build for 4.7.2 or newer, and set \
         SchUseStrongCrypto and SystemDefaultTlsVersions in the registry.",
    ),
    (
        "windowspowershell",
        "Windows PowerShell takes the .NET Framework's TLS: set SchUseStrongCrypto in the registry, or use \
         PowerShell 7.",
    ),
    ("windows/7", OLD_WINDOWS),
    ("windows/2008", OLD_WINDOWS),
    (
        "windows/2003",
        "Windows Server 2003 and XP have no TLS 1.2: replace the system, or send its calls through a proxy that has it.",
    ),
    (
        "python/2",
        "Python 2 takes TLS from its OpenSSL: TLS 1.2 needs Python 2.7.9 with OpenSSL 1.0.1; better a current Python 3.",
    ),
    (
        "android/",
        "Android before 4.4 has no TLS 1.2 by default: raise the app's least version, or use a current HTTP library.",
    ),
    ("curl/7.1", OLD_CURL),
    ("curl/7.2", OLD_CURL),
];

const OLD_NET: &str = "The .NET Framework before 4.6.2 does not ask for TLS 1.2: upgrade to 4.7.2 or newer, and set \
     SchUseStrongCrypto and SystemDefaultTlsVersions in the registry.";
const OLD_WINDOWS: &str = "Windows 7 and Server 2008 R2 leave TLS 1.2 off: install KB3140245 and turn it on in SChannel, or \
     upgrade.";
const OLD_CURL: &str =
    "This curl is of a system whose OpenSSL or NSS has no TLS 1.2: upgrade curl with its TLS library.";

/// A place where programs have a role without a key, told by how a product of a user agent begins; and the way out.
const PLACES: [(&str, &str); 4] = [
    (
        "exec-env/aws_lambda",
        "It runs on Lambda: remove the key and give the function's execution role the rights.",
    ),
    ("exec-env/aws_ecs", "It runs on ECS: remove the key and give the task role the rights."),
    ("exec-env/ec2", "It runs on EC2: remove the key and give the instance profile's role the rights."),
    ("exec-env/cloudshell", "It runs in CloudShell, which has credentials of its own: remove the key."),
];

/// What a user agent tells of runtime or place that the client's name does not: something that the advice takes in the
/// user agent's stead.
pub fn hint(user_agent: &str) -> Option<&'static str> {
    find(&OLD_TLS, user_agent).or_else(|| find(&PLACES, user_agent)).map(|(mark, _)| mark)
}

/// The first entry of the table whose mark a product of the user agent begins with. One pass, for this is asked of each
/// user agent that is new: most products are out by their first letter.
fn find(table: &[(&'static str, &'static str)], user_agent: &str) -> Option<(&'static str, &'static str)> {
    let mut found = table.len();
    for product in user_agent.split_ascii_whitespace() {
        let product = product.strip_prefix('[').unwrap_or(product);
        let product = java_runtime(product).unwrap_or(product).as_bytes();
        let first = product.first().map_or(0, u8::to_ascii_lowercase);
        let is_mark = |(mark, _): &(&str, &str)| {
            let mark = mark.as_bytes();
            mark[0] == first
                && product.get(..mark.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(mark))
        };
        found = table[..found].iter().position(is_mark).unwrap_or(found);
    }
    table.get(found).copied()
}

/// The SDK for Java of those days writes `Java_HotSpot(TM)_64-Bit_Server_VM/24.65-b04/1.7.0_67`.
fn java_runtime(product: &str) -> Option<&'static str> {
    let is_machine =
        |name: &str| product.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if !is_machine("java_hotspot") && !is_machine("openjdk") {
        return None;
    }
    let (_, versions) = product.split_once('/')?;
    let version = versions.rsplit('/').next()?;
    ["java/1.6", "java/1.7"].into_iter().find(|mark| version.starts_with(&mark[5..]))
}

fn old_tls(user_agent: &str) -> String {
    if let Some((_, way_out)) = find(&OLD_TLS, user_agent) {
        return way_out.to_owned();
    }
    let client = client::client(user_agent).map_or_else(|| "the program".to_owned(), shown);
    format!(
        "TLS is the runtime's and the system's, seldom the SDK's: run {client} on Java 8, .NET Framework 4.7.2, OpenSSL \
         1.0.1, Windows Server 2012 or newer. If those are new enough, look for a proxy or appliance on the way that \
         speaks old TLS, and for settings that forbid TLS 1.2."
    )
}

fn long_term_key(principal: &str, user_agent: &str) -> String {
    if principal.ends_with(":root") {
        return "This is the root user's own access key: delete it. Nothing needs one; use IAM Identity Center for \
                people and roles for programs."
            .to_owned();
    }
    if let Some((_, way_out)) = find(&PLACES, user_agent) {
        return way_out.to_owned();
    }
    "Use a role instead of the key: an instance profile on EC2, a task role on ECS, a service account's role on EKS, \
     the execution role on Lambda, OpenID Connect for CI, IAM Roles Anywhere outside AWS, IAM Identity Center for \
     people. Then make the key inactive, and delete it when nothing breaks."
        .to_owned()
}

fn shown(client: Client<'_>) -> String {
    let shown = super::plain(client.name);
    if client.version.is_empty() { shown } else { format!("{shown} {}", super::plain(client.version)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weakness: Weakness, known: Known<'_>, words: &[&str]) {
        let advice = advice(weakness, known);
        words.iter().for_each(|word| assert!(advice.contains(word), "{word:?} is not in {advice:?}"));
    }

    fn of(client: &str) -> Known<'_> {
        Known { client, ..Known::default() }
    }

    #[test]
    fn old_clients_are_upgraded_and_new_ones_are_not() {
        let sigv2 = |client, words: &[&str]| check(Weakness::SigV2, of(client), words);
        sigv2("Boto3/1.4.5 Python/2.7", &["Upgrade Boto3 1.4.5", "1.4.6"]);
        sigv2("Boto3/1.28.0 Python/3.11 Botocore/1.31.85", &["upgrading won't help", "signature_version"]);
        sigv2("Boto/2.48.0 Python/2.7", &["Upgrade Boto 2.48.0", "2.49.0"]);
        sigv2("aws-sdk-java/1.11.100 Linux/3", &["1.11.201"]);
        sigv2("aws-sdk-java/1.12.500 Linux/3", &["won't help", "S3SignerType"]);
        sigv2("aws-sdk-dotnet-pcl/3.9.0.0", &["never", "UseSignatureVersion4 = true"]);
        sigv2("[aws-sdk-ruby2/2.1.0 ruby/2.3]", &["Ruby 3"]);
        sigv2("aws-sdk-go/1.44.0 (go1.19; linux; amd64)", &["always signed with SigV4"]);
        sigv2("s3cmd/2.0", &["source IP"]);
        sigv2("", &["source IP"]);
    }

    #[test]
    fn presigned_links_are_the_signers() {
        let known = Known { client: "Mozilla/5.0", is_presigned: true, ..Known::default() };
        let words = [
            "Upgrading won't help",
            "us-east-1, eu-west-1 and us-west-2",
            "signature_version='s3v4'",
            "7 days",
        ];
        check(Weakness::SigV2, known, &words);
    }

    #[test]
    fn tls_is_the_runtimes() {
        let tls = |client, words: &[&str]| check(Weakness::Tls10, of(client), words);
        tls(
            "aws-sdk-java/1.11.1 Linux/3 Java_HotSpot/24 java/1.7.0_80",
            &["Java 7", "jdk.tls.client.protocols"],
        );
        tls("Boto3/1.9 Python/2.7.5 Linux/2.6", &["Python 2"]);
        tls("AWSPowerShell/3.1 .NET_Runtime/4.0", &[".NET Framework"]);
        tls("custom/1.0", &["run custom 1.0 on"]);
    }

    #[test]
    fn a_role_instead_of_a_key() {
        let key = |principal, client, words: &[&str]| {
            check(Weakness::LongTermKey, Known { principal, client, is_presigned: false }, words);
        };
        key("arn:aws:iam::1:root", "", &["root user", "delete it"]);
        key("arn:aws:iam::1:user/a", "Boto3/1.28 exec-env/AWS_ECS_FARGATE", &["task role"]);
        key("arn:aws:iam::1:user/a", "Boto3/1.28", &["Roles Anywhere"]);
    }

    #[test]
    fn a_hint_serves_as_well_as_the_user_agent() {
        for user_agent in [
            "Boto3/1.9 Python/2.7.5 Linux/2.6",
            "aws-sdk-java/1.9 Linux/3 OpenJDK_64-Bit_Server_VM/24/1.7.0",
            "AWSPowerShell/3.1 .NET_Runtime/4.0",
        ] {
            let hint = hint(user_agent).unwrap();
            assert_eq!(
                advice(Weakness::Tls10, of(hint)),
                advice(Weakness::Tls10, of(user_agent)),
                "{user_agent}"
            );
        }
        let lambda = "Boto3/1.28 md/x exec-env/AWS_Lambda_python3.9 Botocore/1.31";
        assert_eq!(hint(lambda), Some("exec-env/aws_lambda"));
        assert_eq!(hint("Boto3/1.28 Python/3.11"), None);
    }

    #[test]
    fn each_piece_once() {
        let clients = ["Boto3/1.4.5", "Boto3/1.4.5", "s3cmd/2", "rclone/1"];
        let all = pieces(Weakness::SigV2, "p", Presigned::Some, clients.into_iter()).join(" ");
        assert_eq!(all.matches("Upgrade Boto3 1.4.5").count(), 1);
        assert_eq!(all.matches("find the program").count(), 1);
        assert!(all.starts_with("Upgrade Boto3") && all.contains("signs links with SigV2"), "{all}");
        let only_links = pieces(Weakness::SigV2, "p", Presigned::All, clients.into_iter()).join(" ");
        assert!(!only_links.contains("Boto3 1.4.5"), "{only_links}");
    }
}
