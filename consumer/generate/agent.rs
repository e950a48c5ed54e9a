//! Which client called, as `userAgent` says it. The texts are our own, in the forms clients really have.

use super::caller::Caller;
use super::draw::{Draw, mix2};
use super::template::{Scene, render};

const TERRAFORM: [&str; 3] = [
    "APN/1.0 HashiCorp/1.0 Terraform/1.5.7 (+https://www.terraform.io) terraform-provider-aws/4.54.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.44.204 (go1.19.6; linux; amd64) deploy/$n run/$g",
    "APN/1.0 HashiCorp/1.0 Terraform/1.3.9 (+https://www.terraform.io) terraform-provider-aws/4.31.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.44.102 (go1.18.6; linux; amd64) deploy/$n run/$g",
    "APN/1.0 HashiCorp/1.0 Terraform/1.6.2 (+https://www.terraform.io) terraform-provider-aws/5.22.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.21.2 os/linux lang/go/1.20.10 md/GOOS/linux md/GOARCH/amd64 api/iam/1.22.7 deploy/$n",
];
const MODERN: [&str; 16] = [
    "Boto3/1.26.90 Python/3.9.16 Linux/5.10.167-147.601.amzn2.x86_64 Botocore/1.29.90",
    "Boto3/1.28.62 md/Botocore#1.31.62 ua/2.0 os/linux#5.15.0-1045-aws md/arch#x86_64 lang/python#3.11.5 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.31.62",
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#6.1.141-155.222.amzn2023.x86_64 md/arch#x86_64 lang/python#3.12.9 md/pyimpl#CPython m/E,Z,N,b cfg/retry-mode#legacy Botocore/1.40.21",
    "Boto3/1.38.14 md/Botocore#1.38.14 ua/2.1 os/linux#5.10.236-227.928.amzn2.x86_64 md/arch#aarch64 lang/python#3.10.17 md/pyimpl#CPython m/N,b,Z,D cfg/retry-mode#standard Botocore/1.38.14",
    "aws-cli/1.42.9 md/Botocore#1.40.9 ua/2.1 os/linux#6.8.0-1029-aws md/arch#x86_64 lang/python#3.12.3 md/pyimpl#CPython m/E,b,Z cfg/retry-mode#legacy botocore/1.40.9",
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.15.0-1055-aws exe/x86_64.ubuntu.22 prompt/off command/s3.cp",
    "aws-sdk-js/3.758.0 ua/2.1 os/linux#5.10.234-225.921.amzn2.x86_64 lang/js md/nodejs#20.18.3 api/s3#3.758.0 m/E,n,N exec-env/AWS_Lambda_nodejs20.x",
    "aws-sdk-js/3.441.0 ua/2.0 os/linux#6.1.55-75.123.amzn2023.x86_64 lang/js md/nodejs#18.18.2 api/dynamodb#3.441.0 exec-env/AWS_ECS_FARGATE",
    "aws-sdk-nodejs/2.1480.0 linux/v18.18.2 exec-env/AWS_Lambda_nodejs18.x promise",
    "aws-sdk-go/1.45.25 (go1.20.8; linux; amd64) S3Manager",
    "aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#arm64 api/s3#1.58.2 exec-env/AWS_ECS_FARGATE",
    "aws-sdk-java/2.25.16 Linux/5.10.210-201.852.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS Java/17.0.10 vendor/Amazon.com_Inc. exec-env/AWS_ECS_FARGATE io/sync http/Apache cfg/retry-mode/legacy",
    "aws-sdk-java/1.12.571 Linux/5.10.198-187.748.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/11.0.20+8-LTS java/11.0.20 kotlin/1.8.22 vendor/Amazon.com_Inc. cfg/retry-mode/standard",
    "aws-sdk-dotnet-coreclr/3.7.205.12 aws-sdk-dotnet-core/3.7.200.44 .NET_Core/6.0.22 OS/Linux_5.15.0-1045-aws ClientAsync",
    "aws-sdk-ruby3/3.185.1 ua/2.0 api/s3#1.136.0 os/linux#5.15 md/x86_64 lang/ruby#3.2.2 md/3.2.2 cfg/retry-mode#legacy",
    "aws-sdk-php/3.283.2 OS/Linux/5.15.0-1045-aws lang/php/8.2.11 GuzzleHttp/7",
];
const SIGV2: [&str; 7] = [
    "aws-sdk-java/1.10.69 Linux/3.10.0-514.el7.x86_64 OpenJDK_64-Bit_Server_VM/24.79-b02/1.7.0_79",
    "Boto/2.38.0 Python/2.7.5 Linux/3.10.0-327.el7.x86_64",
    "aws-sdk-nodejs/2.45.0 linux/v4.9.1",
    "aws-sdk-ruby/1.66.0 ruby/2.0.0 x86_64-linux",
    "aws-sdk-php/2.8.31 Guzzle/3.9.3 curl/7.29.0 PHP/5.4.16",
    "aws-cli/1.10.44 Python/2.7.6 Linux/3.13.0-92-generic botocore/1.4.34",
    "[]",
];
const OLD_TLS: [&str; 5] = [
    "aws-sdk-java/1.11.136 Linux/3.10.0-693.el7.x86_64 Java_HotSpot(TM)_64-Bit_Server_VM/24.80-b11/1.7.0_80",
    "aws-sdk-dotnet-35/3.3.27.2 .NET_Runtime/2.0 .NET_Framework/3.5 OS/Microsoft_Windows_NT_6.1.7601_Service_Pack_1 ClientSync",
    "aws-cli/1.16.210 Python/2.7.5 Linux/2.6.32-754.el6.x86_64 botocore/1.12.200",
    "Boto3/1.9.201 Python/2.7.9 Windows/2008ServerR2 Botocore/1.12.201",
    "aws-sdk-php/3.52.13 GuzzleHttp/6.2.1 curl/7.19.7 PHP/5.6.40",
];
const SIGNERS: [&str; 3] = [
    "Boto3/1.20.24 Python/3.8.10 Linux/5.4.0-1092-aws Botocore/1.23.24",
    "aws-sdk-nodejs/2.1354.0 linux/v16.20.0 promise",
    "Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#5.15.0-1053-aws md/arch#x86_64 lang/python#3.10.12 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.51",
];
/// Who opens presigned links.
const OPENERS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "curl/7.88.1",
    "Wget/1.21.3",
    "python-requests/2.31.0",
    "okhttp/4.12.0",
];
const CONSOLE: [&str; 2] =
    ["AWS Internal", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"];

/// The client of a direct call; S3 wraps it in brackets.
pub(super) fn direct(out: &mut Vec<u8>, caller: &Caller, scene: &mut Scene, bracketed: bool) {
    let bits = mix2(caller.bits, 11);
    let chosen = if caller.weak.sigv2 {
        of(&SIGV2, bits)
    } else if caller.weak.tls10 || caller.weak.tls11 {
        of(&OLD_TLS, bits)
    } else if caller.weak.sigv2_links {
        of(&SIGNERS, bits)
    } else if caller.terraform {
        of(&TERRAFORM, bits)
    } else {
        of(&MODERN, bits)
    };
    let bracketed = bracketed && chosen != "[]";
    out.extend(bracketed.then_some(b'['));
    render(out, chosen, scene);
    out.extend(bracketed.then_some(b']'));
}

/// Whoever opened a presigned link.
pub(super) fn opener(draw: &mut Draw) -> &'static str {
    draw.pick(&OPENERS)
}

/// What the console's calls carry: nearly always its own backend.
pub(super) fn console(draw: &mut Draw) -> &'static str {
    CONSOLE[usize::from(draw.chance(0.03))]
}

fn of(agents: &[&'static str], bits: u64) -> &'static str {
    agents[bits as usize % agents.len()]
}
