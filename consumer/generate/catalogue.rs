//! The calls of the made-up organisation, with their weights: how often AWS's services are called in the
//! published corpus, in its order of magnitude.

use super::action::{Action, read, write};

const UNAUTHORIZED: &str =
    "You are not authorized to perform this operation. Encoded authorization failure message: $M";
const NO_PERMISSION: &str = "User: arn:aws:iam::$a:user/$n is not authorized to perform this action because no identity-based policy allows it";
const THROTTLED: &str = "Rate exceeded";

/// Calls a client makes itself, but for S3 objects.
pub(super) static DIRECT: &[Action] = &[
    read("ec2", "DescribeRouteTables", 160, r#"{"routeTableIdSet":{"items":[{"routeTableId":"rtb-$i"}]},"filterSet":{}}"#)
        .fails(9, "Client.InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-$i' does not exist"),
    read("ec2", "DescribeNatGateways", 54, r#"{"DescribeNatGatewaysRequest":{"NatGatewayId":{"tag":1,"content":"nat-$i"}}}"#),
    read("ec2", "DescribeVpcAttribute", 48, r#"{"vpcId":"vpc-$i","attribute":"enableDnsSupport"}"#),
    read("ec2", "DescribeVpcs", 43, r#"{"vpcSet":{"items":[{"vpcId":"vpc-$i"}]},"filterSet":{}}"#),
    read("ec2", "DescribeSubnets", 40, r#"{"subnetSet":{"items":[{"subnetId":"subnet-$i"}]},"filterSet":{}}"#),
    read("ec2", "DescribeAccountAttributes", 35, r#"{"accountAttributeNameSet":{"items":[{"attributeName":"supported-platforms"}]},"filterSet":{}}"#),
    read("ec2", "DescribeSecurityGroups", 34, r#"{"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"sg-$i"}]},"filterSet":{}}"#),
    read("ec2", "GetPasswordData", 29, r#"{"instanceId":"i-$e"}"#)
        .fails(90, "Client.UnauthorizedOperation", UNAUTHORIZED),
    read("ec2", "DescribeNetworkAcls", 26, r#"{"networkAclIdSet":{},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"vpc-$i"}]}},{"name":"default","valueSet":{"items":[{"value":"true"}]}}]}}"#),
    read("ec2", "DescribeInstanceAttribute", 25, r#"{"instanceId":"i-$i","attribute":"instanceInitiatedShutdownBehavior"}"#),
    read("ec2", "DescribeInternetGateways", 24, r#"{"internetGatewayIdSet":{"items":[{"internetGatewayId":"igw-$i"}]},"filterSet":{}}"#),
    read("ec2", "DescribeInstances", 34, r#"{"instancesSet":{"items":[{"instanceId":"i-$i"}]},"filterSet":{}}"#),
    read("ec2", "DescribeImages", 20, r#"{"executableBySet":{},"imagesSet":{},"ownersSet":{"items":[{"owner":"amazon"}]},"filterSet":{"items":[{"name":"name","valueSet":{"items":[{"value":"al2023-ami-*-x86_64"}]}}]}}"#),
    read("ec2", "DescribeAddresses", 20, r#"{"publicIpsSet":{},"filterSet":{},"allocationIdsSet":{"items":[{"allocationId":"eipalloc-$i"}]}}"#),
    read("ec2", "DescribeNetworkInterfaces", 20, r#"{"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"i-$i"}]}}]}}"#),
    write("ec2", "CreateTags", 40, r#"{"resourcesSet":{"items":[{"resourceId":"subnet-$i"}]},"tagSet":{"items":[{"key":"Name","value":"$n"}]}}"#, r#"{"requestId":"$u","_return":true}"#),
    write("ec2", "CreateRoute", 16, r#"{"routeTableId":"rtb-$i","destinationCidrBlock":"0.0.0.0/0","gatewayId":"igw-$i"}"#, r#"{"requestId":"$u","_return":true}"#),
    write("ec2", "AuthorizeSecurityGroupIngress", 12, r#"{"groupId":"sg-$i","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":443,"toPort":443,"groups":{},"ipRanges":{"items":[{"cidrIp":"10.0.0.0/16"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#, r#"{"requestId":"$u","_return":true,"securityGroupRuleSet":{"items":[{"groupOwnerId":"$a","groupId":"sg-$i","securityGroupRuleId":"sgr-$e","isEgress":false,"ipProtocol":"tcp","fromPort":443,"toPort":443,"cidrIpv4":"10.0.0.0/16"}]}}"#),
    write("ec2", "RunInstances", 8, r#"{"instancesSet":{"items":[{"imageId":"ami-$i","minCount":1,"maxCount":1}]},"instanceType":"t3.large","blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"subnetId":"subnet-$i","clientToken":"terraform-$u","ebsOptimized":false,"tagSpecificationSet":{"items":[{"resourceType":"instance","tags":[{"key":"Name","value":"$n"}]}]}}"#, r#"{"requestId":"$u","reservationId":"r-$e","ownerId":"$a","groupSet":{},"instancesSet":{"items":[{"instanceId":"i-$e","imageId":"ami-$i","instanceState":{"code":0,"name":"pending"},"privateDnsName":"ip-10-0-0-12.ec2.internal","amiLaunchIndex":0,"productCodes":{},"instanceType":"t3.large","launchTime":1751328000000,"placement":{"availabilityZone":"$ra","tenancy":"default"},"monitoring":{"state":"disabled"},"subnetId":"subnet-$i","vpcId":"vpc-$i","privateIpAddress":"10.0.0.12","stateReason":{"code":"pending","message":"pending"},"architecture":"x86_64","rootDeviceType":"ebs","rootDeviceName":"/dev/xvda","virtualizationType":"hvm","hypervisor":"xen","clientToken":"terraform-$u","sourceDestCheck":true,"ebsOptimized":false}]}}"#)
        .fails(15, "Client.VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that the specified instance type belongs to."),
    write("ec2", "DeleteSubnet", 20, r#"{"subnetId":"subnet-$i"}"#, r#"{"requestId":"$u","_return":true}"#),
    write("ec2", "TerminateInstances", 14, r#"{"instancesSet":{"items":[{"instanceId":"i-$i"}]}}"#, r#"{"requestId":"$u","instancesSet":{"items":[{"instanceId":"i-$i","currentState":{"code":32,"name":"shutting-down"},"previousState":{"code":16,"name":"running"}}]}}"#),
    read("ssm", "DescribeParameters", 122, r#"{"filters":[{"key":"Name","values":["/$n/setting-$d"]}]}"#)
        .fails(68, "ThrottlingException", THROTTLED),
    read("ssm", "GetParameter", 82, r#"{"name":"/$n/setting-$d","withDecryption":true}"#)
        .on("AWS::SSM::Parameter", "arn:aws:ssm:$r:$a:parameter/$n/setting-$d"),
    read("ssm", "ListTagsForResource", 82, r#"{"resourceType":"Parameter","resourceId":"/$n/setting-$d"}"#)
        .fails(30, "ThrottlingException", THROTTLED),
    write("ssm", "DeleteParameter", 78, r#"{"name":"/$n/setting-$d"}"#, "")
        .fails(30, "ThrottlingException", THROTTLED)
        .on("AWS::SSM::Parameter", "arn:aws:ssm:$r:$a:parameter/$n/setting-$d"),
    write("ssm", "PutParameter", 67, r#"{"name":"/$n/setting-$d","value":"HIDDEN_DUE_TO_SECURITY_REASONS","type":"SecureString","overwrite":false,"tier":"Standard","dataType":"text"}"#, r#"{"version":1,"tier":"Standard"}"#)
        .fails(15, "ThrottlingException", THROTTLED),
    read("ssm", "DescribeInstanceInformation", 48, r#"{"filters":[{"key":"InstanceIds","values":["i-$i"]}]}"#),
    read("iam", "GetUser", 130, ""),
    read("iam", "ListAttachedRolePolicies", 40, r#"{"roleName":"$n"}"#),
    read("iam", "ListRolePolicies", 36, r#"{"roleName":"$n"}"#),
    read("iam", "GetRole", 36, r#"{"roleName":"$n"}"#)
        .fails(8, "NoSuchEntityException", "The role with name $n cannot be found."),
    read("iam", "ListInstanceProfilesForRole", 24, r#"{"roleName":"$n"}"#),
    read("iam", "GetPolicyVersion", 30, r#"{"policyArn":"arn:aws:iam::$a:policy/$n","versionId":"v1"}"#),
    read("iam", "ListUsers", 14, ""),
    write("iam", "CreateRole", 30, r#"{"roleName":"$n","assumeRolePolicyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ec2.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}","tags":[]}"#, r#"{"role":{"path":"/","roleName":"$n","roleId":"AROASYNTHETIC000000$d","arn":"arn:aws:iam::$a:role/$n","createDate":"$t","assumeRolePolicyDocument":"%7B%22Version%22%3A%222012-10-17%22%7D"}}"#),
    write("iam", "AttachRolePolicy", 28, r#"{"roleName":"$n","policyArn":"arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}"#, ""),
    write("iam", "DetachRolePolicy", 28, r#"{"roleName":"$n","policyArn":"arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}"#, ""),
    read("s3", "GetBucketAcl", 44, r#"{"acl":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b"),
    read("s3", "GetBucketPolicy", 24, r#"{"policy":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .fails(60, "NoSuchBucketPolicy", "The bucket policy does not exist"),
    read("s3", "GetBucketPublicAccessBlock", 22, r#"{"publicAccessBlock":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .fails(60, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"),
    read("s3", "GetBucketLifecycle", 20, r#"{"lifecycle":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .fails(60, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    read("s3", "GetBucketCors", 20, r#"{"cors":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .fails(60, "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    read("s3", "GetBucketReplication", 20, r#"{"replication":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .fails(60, "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    read("s3", "GetBucketLogging", 20, r#"{"logging":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b"),
    read("s3", "GetBucketEncryption", 20, r#"{"encryption":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#).on("AWS::S3::Bucket", "arn:aws:s3:::$b"),
    read("s3", "ListBuckets", 30, r#"{"Host":"s3.$r.amazonaws.com"}"#),
    write("s3", "PutBucketPublicAccessBlock", 22, r#"{"publicAccessBlock":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com","PublicAccessBlockConfiguration":{"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/","RestrictPublicBuckets":true,"BlockPublicPolicy":true,"BlockPublicAcls":true,"IgnorePublicAcls":true}}"#, "").on("AWS::S3::Bucket", "arn:aws:s3:::$b"),
    read("secretsmanager", "GetSecretValue", 60, r#"{"secretId":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#),
    read("secretsmanager", "GetResourcePolicy", 39, r#"{"secretId":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#),
    read("secretsmanager", "DescribeSecret", 36, r#"{"secretId":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#),
    write("secretsmanager", "PutSecretValue", 29, r#"{"clientRequestToken":"$u","secretId":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#, r#"{"arn":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#),
    write("secretsmanager", "CreateSecret", 29, r#"{"clientRequestToken":"$u","description":"","name":"$n-$d","forceOverwriteReplicaSecret":false}"#, r#"{"arn":"arn:aws:secretsmanager:$r:$a:secret:$n-$d"}"#),
    read("rds", "DescribeDBInstances", 38, r#"{"dBInstanceIdentifier":"$n-$d"}"#),
    write("rds", "ModifyDBInstance", 8, r#"{"dBInstanceIdentifier":"$n-$d","applyImmediately":true,"backupRetentionPeriod":7,"allowMajorVersionUpgrade":false}"#, r#"{"dBInstanceIdentifier":"$n-$d","dBInstanceClass":"db.t3.medium","engine":"postgres","dBInstanceStatus":"available","masterUsername":"app","allocatedStorage":100,"backupRetentionPeriod":7,"multiAZ":false,"storageType":"gp3","dBInstanceArn":"arn:aws:rds:$r:$a:db:$n-$d"}"#),
    read("sts", "GetCallerIdentity", 28, ""),
    read("sts", "AssumeRole", 10, r#"{"roleArn":"arn:aws:iam::$a:role/$n","roleSessionName":"session-$d","durationSeconds":3600}"#)
        .on("AWS::IAM::Role", "arn:aws:iam::$a:role/$n")
        .fails(40, "AccessDenied", NO_PERMISSION),
    read("cloudtrail", "DescribeTrails", 22, r#"{"trailNameList":["$n"],"includeShadowTrails":true}"#),
    write("cloudtrail", "CreateTrail", 8, r#"{"name":"$n","s3BucketName":"$b","includeGlobalServiceEvents":true,"isMultiRegionTrail":false,"enableLogFileValidation":true}"#, r#"{"name":"$n","s3BucketName":"$b","includeGlobalServiceEvents":true,"isMultiRegionTrail":false,"trailARN":"arn:aws:cloudtrail:$r:$a:trail/$n","logFileValidationEnabled":true,"isOrganizationTrail":false}"#)
        .fails(20, "TrailNotFoundException", "Unknown trail: arn:aws:cloudtrail:$r:$a:trail/$n"),
    read("lambda", "GetFunction20150331v2", 18, r#"{"functionName":"$n"}"#)
        .fails(10, "ResourceNotFoundException", "Function not found: arn:aws:lambda:$r:$a:function:$n"),
    write("lambda", "UpdateFunctionConfiguration20150331v2", 9, r#"{"functionName":"$n","environment":{},"memorySize":512,"timeout":30}"#, r#"{"functionName":"$n","functionArn":"arn:aws:lambda:$r:$a:function:$n","runtime":"python3.12","role":"arn:aws:iam::$a:role/lambda-$n","handler":"main.handler","codeSize":481620,"description":"","timeout":30,"memorySize":512,"lastModified":"$t","codeSha256":"HIDDEN_DUE_TO_SECURITY_REASONS","version":"1","environment":{},"tracingConfig":{"mode":"PassThrough"},"revisionId":"$u","state":"Active","packageType":"Zip","architectures":["x86_64"]}"#),
    read("logs", "DescribeLogGroups", 6, r#"{"logGroupNamePrefix":"/aws/lambda/$n"}"#),
    read("dynamodb", "DescribeTable", 6, r#"{"tableName":"$n"}"#),
    write("ses", "SendRawEmail", 3, r#"{"source":"noreply@example.com","destinations":["HIDDEN_DUE_TO_SECURITY_REASONS"],"rawMessage":{}}"#, "").data(),
    read("notifications", "ListNotificationHubs", 8, "").without_tls(),
    read("guardduty", "ListDetectors", 7, r#"{"maxResults":50}"#).without_tls(),
    read("resource-explorer-2", "ListIndexes", 5, r#"{"regions":["$r"]}"#).without_tls(),
    read("account", "GetRegionOptStatus", 6, r#"{"regionName":"$r"}"#).without_tls(),
];

/// S3 object calls: data events.
pub(super) static OBJECTS: &[Action] = &[
    read("s3", "GetObject", 56, r#"{"bucketName":"$b","Host":"$b.s3.$r.amazonaws.com","key":"$k"}"#).data()
        .on("AWS::S3::Object", "arn:aws:s3:::$b/$k")
        .fails(3, "AccessDenied", "Access Denied"),
    write("s3", "PutObject", 22, r#"{"bucketName":"$b","Host":"$b.s3.$r.amazonaws.com","key":"$k","x-amz-server-side-encryption":"aws:kms"}"#, r#"{"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:$r:$a:key/$g"}"#).data()
        .on("AWS::S3::Object", "arn:aws:s3:::$b/$k"),
    read("s3", "HeadObject", 12, r#"{"bucketName":"$b","Host":"$b.s3.$r.amazonaws.com","key":"$k"}"#).data()
        .on("AWS::S3::Object", "arn:aws:s3:::$b/$k")
        .fails(10, "NoSuchKey", "The specified key does not exist."),
    read("s3", "ListObjects", 8, r#"{"list-type":"2","bucketName":"$b","encoding-type":"url","prefix":"incoming/","delimiter":"/","Host":"$b.s3.$r.amazonaws.com"}"#).data()
        .on("AWS::S3::Object", "arn:aws:s3:::$b/incoming/"),
    write("s3", "DeleteObject", 2, r#"{"bucketName":"$b","Host":"$b.s3.$r.amazonaws.com","key":"$k"}"#, "").data()
        .on("AWS::S3::Object", "arn:aws:s3:::$b/$k"),
];

/// Calls the console makes.
pub(super) static CONSOLE: &[Action] = &[
    read("ec2", "DescribeInstances", 40, r#"{"maxResults":100,"instancesSet":{},"filterSet":{}}"#),
    read("ec2", "DescribeVolumes", 20, r#"{"maxResults":100,"volumeSet":{},"filterSet":{}}"#),
    read("ec2", "DescribeAddresses", 20, r#"{"publicIpsSet":{},"filterSet":{},"allocationIdsSet":{}}"#),
    read(
        "ec2",
        "DescribeSecurityGroups",
        20,
        r#"{"maxResults":1000,"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#,
    ),
    read(
        "rds",
        "DescribeOrderableDBInstanceOptions",
        45,
        r#"{"engine":"postgres","engineVersion":"15.4","vpc":true}"#,
    ),
    read(
        "rds",
        "DescribeDBEngineVersions",
        24,
        r#"{"engine":"postgres","defaultOnly":false,"includeAll":true}"#,
    ),
    read("rds", "DescribeDBInstances", 24, r#"{"maxRecords":100}"#),
    read(
        "health",
        "DescribeEventAggregates",
        24,
        r#"{"aggregateField":"eventTypeCategory","filter":{"eventStatusCodes":["open","upcoming"]}}"#,
    ),
    read(
        "cloudtrail",
        "LookupEvents",
        5,
        r#"{"maxResults":50,"lookupAttributes":[{"attributeKey":"ReadOnly","attributeValue":"false"}]}"#,
    ),
    read("organizations", "DescribeOrganization", 3, "").fails(25, "AccessDeniedException", NO_PERMISSION),
    read("elasticloadbalancing", "DescribeLoadBalancers", 3, r#"{"pageSize":400}"#),
    read("monitoring", "DescribeAlarms", 3, r#"{"maxRecords":100}"#),
];

/// Calls a service makes with a caller's credentials.
pub(super) static ON_BEHALF: &[Action] = &[
    read("kms", "Decrypt", 120, r#"{"encryptionContext":{"PARAMETER_ARN":"arn:aws:ssm:$r:$a:parameter/$n/setting-$d"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#)
        .on("AWS::KMS::Key", "arn:aws:kms:$r:$a:key/$g").by("AWS Internal"),
    read("kms", "Decrypt", 58, r#"{"encryptionContext":{"SecretARN":"arn:aws:secretsmanager:$r:$a:secret:$n-$d","SecretVersionId":"$u"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#)
        .on("AWS::KMS::Key", "arn:aws:kms:$r:$a:key/$g").by("secretsmanager.amazonaws.com"),
    read("kms", "Encrypt", 42, r#"{"encryptionContext":{"PARAMETER_ARN":"arn:aws:ssm:$r:$a:parameter/$n/setting-$d"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT","keyId":"arn:aws:kms:$r:$a:key/$g"}"#)
        .on("AWS::KMS::Key", "arn:aws:kms:$r:$a:key/$g").by("AWS Internal"),
    read("kms", "GenerateDataKey", 20, r#"{"keyId":"alias/aws/secretsmanager","keySpec":"AES_256","encryptionContext":{"SecretARN":"arn:aws:secretsmanager:$r:$a:secret:$n-$d","SecretVersionId":"$u"}}"#)
        .on("AWS::KMS::Key", "arn:aws:kms:$r:$a:key/$g").by("secretsmanager.amazonaws.com"),
    read("health", "DescribeEventAggregates", 25, r#"{"aggregateField":"eventTypeCategory","filter":{"eventStatusCodes":["open","upcoming"]}}"#)
        .by("health.amazonaws.com"),
    read("s3", "ListBuckets", 6, r#"{"Host":"s3.$r.amazonaws.com"}"#).by("AWS Internal"),
    read("ec2", "DescribeInstances", 6, r#"{"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}}"#)
        .by("inspector2.amazonaws.com"),
];

/// Calls and events of AWS services themselves.
pub(super) static SERVICE: &[Action] = &[
    write("secretsmanager", "StartSecretVersionDelete", 20, "", "")
        .by("secretsmanager.amazonaws.com")
        .event_of_service(),
    write("secretsmanager", "EndSecretVersionDelete", 20, "", "")
        .by("secretsmanager.amazonaws.com")
        .event_of_service(),
    read(
        "sts",
        "AssumeRole",
        18,
        r#"{"roleArn":"arn:aws:iam::$a:role/lambda-$n","roleSessionName":"$n","durationSeconds":3600}"#,
    )
    .on("AWS::IAM::Role", "arn:aws:iam::$a:role/lambda-$n")
    .by("lambda.amazonaws.com"),
    read(
        "sts",
        "AssumeRole",
        8,
        r#"{"roleArn":"arn:aws:iam::$a:role/instance-$n","roleSessionName":"i-$e","durationSeconds":21600}"#,
    )
    .on("AWS::IAM::Role", "arn:aws:iam::$a:role/instance-$n")
    .by("ec2.amazonaws.com"),
    read("s3", "GetBucketAcl", 8, r#"{"acl":"","bucketName":"$b","Host":"$b.s3.$r.amazonaws.com"}"#)
        .on("AWS::S3::Bucket", "arn:aws:s3:::$b")
        .by("cloudtrail.amazonaws.com"),
    read("ec2", "DescribeSubnets", 2, r#"{"subnetSet":{"items":[{"subnetId":"subnet-$i"}]},"filterSet":{}}"#)
        .by("rds.amazonaws.com"),
];

/// What a web identity calls.
pub(super) static WEB_IDENTITY: &[Action] = &[read(
    "sts",
    "AssumeRoleWithWebIdentity",
    1,
    r#"{"roleArn":"arn:aws:iam::$a:role/deploy-$n","roleSessionName":"build-$d","durationSeconds":3600}"#,
)
.on("AWS::IAM::Role", "arn:aws:iam::$a:role/deploy-$n")];

/// What a SAML user calls.
pub(super) static SAML: &[Action] = &[read("sts", "AssumeRoleWithSAML", 1, r#"{"roleArn":"arn:aws:iam::$a:role/operator-$n","principalArn":"arn:aws:iam::$a:saml-provider/example","durationSeconds":3600}"#)
    .on("AWS::IAM::Role", "arn:aws:iam::$a:role/operator-$n")];
