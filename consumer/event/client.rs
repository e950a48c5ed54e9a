//! Which client made a call, told by its user agent: hostile text that the caller wrote.

use std::cmp::Ordering;

use trailmeter_rules::version;

/// A client's name and version as the user agent has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// Such as `Boto3`, `aws-sdk-java`, `aws-cli`; without a product the whole text, such as `AWS Internal`.
    pub name: &'a str,
    /// Such as `1.26.165`; empty if there is none.
    pub version: &'a str,
}

/// The client of a user agent: its first AWS SDK or tool if it names one (also behind `APN/1.0 HashiCorp/1.0
/// Terraform/…`), else its first product. None for an empty one.
pub fn client(user_agent: &str) -> Option<Client<'_>> {
    let text = unwrap_brackets(user_agent);
    let first = text.split_ascii_whitespace().next()?;
    let is_console = first.split('/').next().is_some_and(|name| name.ends_with("Console"));
    let sdk = products(text).find(|product| is_sdk(product.name)).filter(|_| !is_console);
    let first_product = || first.contains('/').then(|| products(text).next()).flatten();
    Some(sdk.or_else(first_product).unwrap_or(Client { name: text, version: "" }))
}

/// Whether this client signs S3 requests with SigV4 unless told otherwise; none if the client is not in the table.
///
/// Source: the table "Moving from Signature Version 2 to Signature Version 4" of the S3 user guide (2023), beside
/// the migration post's where the guide says nothing. Botocore's version decides for Boto3
/// and the CLI where it is given, for botocore is what signs.
pub fn signs_with_sigv4_by_default(user_agent: &str) -> Option<bool> {
    let text = unwrap_brackets(user_agent);
    let client = client(text)?;
    let botocore = || products(text).find(|product| product.name.eq_ignore_ascii_case("botocore"));
    let signer = match client.name {
        "Boto3" | "aws-cli" => botocore().unwrap_or(client),
        _ => client,
    };
    first_sigv4_version(signer.name).and_then(|first| match first {
        First::Always => Some(true),
        First::Never => Some(false),
        First::Since(_) if signer.version.is_empty() => None,
        First::Since(since) => Some(version::compare(signer.version, since) != Ordering::Less),
    })
}

enum First {
    Always,
    Since(&'static str),
    Never,
}

fn first_sigv4_version(name: &str) -> Option<First> {
    let name = name.to_ascii_lowercase();
    if name.starts_with("aws-sdk-dotnet") {
        let is_never = ["pcl", "xamarin", "uwp"].iter().any(|platform| name.contains(platform));
        return Some(if is_never { First::Never } else { First::Since("3.3.0.0") });
    }
    Some(match name.as_str() {
        "aws-sdk-java" => First::Since("1.11.201"),
        "aws-sdk-nodejs" | "aws-sdk-js" => First::Since("2.68.0"),
        "aws-sdk-php" => First::Since("3"),
        "botocore" => First::Since("1.5.71"),
        "boto3" => First::Since("1.4.6"),
        "boto" => First::Since("2.49.0"),
        "aws-cli" => First::Since("1.11.108"),
        "awspowershell" | "awspowershell.netcore" => First::Since("3.3.0.0"),
        name if name.starts_with("aws-sdk-ruby") => First::Since("3"),
        name if name.starts_with("aws-sdk-go") || name.starts_with("aws-sdk-cpp") => First::Always,
        _ => return None,
    })
}

/// S3 wraps the whole user agent in square brackets.
fn unwrap_brackets(user_agent: &str) -> &str {
    let text = user_agent.trim_ascii();
    text.strip_prefix('[').map_or(text, |rest| rest.strip_suffix(']').unwrap_or(rest)).trim_ascii()
}

/// The products of a user agent: `name/version` and, of the newer form, `md/name#version`.
fn products(text: &str) -> impl Iterator<Item = Client<'_>> {
    text.split_ascii_whitespace().filter_map(|token| {
        let token = token.trim_end_matches([',', ';', ']']);
        let (name, version) = match token.strip_prefix("md/") {
            Some(metadata) => metadata.split_once('#')?,
            None => token.split_once('/')?,
        };
        Some(Client { name, version }).filter(|product| !product.name.is_empty() && !name.starts_with('('))
    })
}

fn is_sdk(name: &str) -> bool {
    let known = ["Boto3", "aws-cli", "Botocore", "Boto", "AWSPowerShell", "AWSPowerShell.NetCore"];
    name.to_ascii_lowercase().starts_with("aws-sdk-")
        || known.iter().any(|sdk| name.eq_ignore_ascii_case(sdk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user_agent: &str, name: &str, version: &str, sigv4: Option<bool>) {
        let found = client(user_agent).map(|client| (client.name, client.version));
        assert_eq!(found, Some((name, version)), "{user_agent}");
        assert_eq!(signs_with_sigv4_by_default(user_agent), sigv4, "{user_agent}");
    }

    #[test]
    fn python() {
        let yes = Some(true);
        check("Boto3/1.20.54 Python/3.11.7 Linux/5.10 Botocore/1.23.54", "Boto3", "1.20.54", yes);
        check("[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0 Botocore/1.29.165]", "Boto3", "1.26.165", yes);
        let newer = "Boto3/1.28.0 md/Botocore#1.31.85 ua/2.0 os/linux#6 lang/python#3.11.7 Botocore/1.31.85";
        check(newer, "Boto3", "1.28.0", yes);
        check("Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 m/N,b,E,Z Botocore/1.44.5", "Boto3", "1.44.5", yes);
        check("Boto3/1.4.5 Python/2.7", "Boto3", "1.4.5", Some(false));
        check("Boto3/1.4.5 Python/2.7 Botocore/1.5.71", "Boto3", "1.4.5", yes);
        check("Boto3/1.9.0 Python/2.7 Botocore/1.5.70", "Boto3", "1.9.0", Some(false));
        check("Boto/2.48.0 Python/2.7.9 Linux/3.2", "Boto", "2.48.0", Some(false));
        check("Boto/2.49.0 Python/2.7.9 Linux/3.2", "Boto", "2.49.0", yes);
    }

    #[test]
    fn command_lines() {
        check("aws-cli/1.46.3 md/Botocore#1.43.62 ua/2.1 os/linux", "aws-cli", "1.46.3", Some(true));
        check("aws-cli/1.16.96 Python/2.7.12 Linux/4 botocore/1.12.86", "aws-cli", "1.16.96", Some(true));
        check("aws-cli/1.11.90 Python/2.7.12", "aws-cli", "1.11.90", Some(false));
        check("AWSPowerShell/3.1.10.0 .NET_Runtime/4.0", "AWSPowerShell", "3.1.10.0", Some(false));
        check("AWSPowerShell/4.1.0.0 .NET_Runtime/4.0", "AWSPowerShell", "4.1.0.0", Some(true));
    }

    #[test]
    fn other_sdks() {
        check("aws-sdk-nodejs/2.1692.0 linux/v20.20.2 promise", "aws-sdk-nodejs", "2.1692.0", Some(true));
        check("aws-sdk-nodejs/2.67.9 linux/v4", "aws-sdk-nodejs", "2.67.9", Some(false));
        check("aws-sdk-js/3.1168.0 ua/2.1 os/linux#6", "aws-sdk-js", "3.1168.0", Some(true));
        let terraform = "aws-sdk-go/1.13.32 (go1.9.2; darwin; amd64) APN/1.0 HashiCorp/1.0 Terraform/0.11.7";
        check(terraform, "aws-sdk-go", "1.13.32", Some(true));
        let provider =
            "[APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) aws-sdk-go/1.42.35 (go1.16)]";
        check(provider, "aws-sdk-go", "1.42.35", Some(true));
        check(
            "aws-sdk-java/2.20.160 Linux/5 Java/11 io/sync http/Apache",
            "aws-sdk-java",
            "2.20.160",
            Some(true),
        );
        check("aws-sdk-java/1.11.200 Linux/3", "aws-sdk-java", "1.11.200", Some(false));
        check("aws-sdk-ruby2/2.11.0 ruby/2.3", "aws-sdk-ruby2", "2.11.0", Some(false));
        check("aws-sdk-dotnet-45/3.3.0.0 .NET", "aws-sdk-dotnet-45", "3.3.0.0", Some(true));
        check("aws-sdk-dotnet-pcl/3.9.0.0 .NET", "aws-sdk-dotnet-pcl", "3.9.0.0", Some(false));
    }

    #[test]
    fn what_is_no_sdk() {
        check("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.100]", "S3Console", "0.4", None);
        check("AWS Internal", "AWS Internal", "", None);
        check("ec2.amazonaws.com", "ec2.amazonaws.com", "", None);
        check("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla", "5.0", None);
        check("curl/8.0", "curl", "8.0", None);
        for nothing in ["", "[]", "  ", "[ ]"] {
            assert_eq!(client(nothing), None);
        }
    }
}
