//! The table that the query reads: CloudTrail's files where a trail puts them, found by partition projection.
//!
//! Columns and formats are those of "Create the table for CloudTrail logs in Athena using partition projection" (Athena
//! user guide), and a few more that judging an event needs. Values that are no objects there are texts here.

use std::collections::HashMap;

use super::Place;

/// The columns, and what the files hold of them. Athena tells names apart without regard to case.
const COLUMNS: &str = "  eventversion STRING,
  useridentity STRUCT<
    type: STRING,
    principalid: STRING,
    arn: STRING,
    accountid: STRING,
    invokedby: STRING,
    accesskeyid: STRING,
    username: STRING,
    identityprovider: STRING,
    onbehalfof: STRUCT<userid: STRING, identitystorearn: STRING>,
    sessioncontext: STRUCT<
      attributes: STRUCT<mfaauthenticated: STRING, creationdate: STRING>,
      sessionissuer: STRUCT<type: STRING, principalid: STRING, arn: STRING, accountid: STRING, username: STRING>,
      ec2roledelivery: STRING,
      webidfederationdata: STRUCT<federatedprovider: STRING, attributes: MAP<STRING, STRING>>>>,
  eventtime STRING,
  eventsource STRING,
  eventname STRING,
  awsregion STRING,
  sourceipaddress STRING,
  useragent STRING,
  errorcode STRING,
  errormessage STRING,
  requestparameters STRING,
  responseelements STRING,
  additionaleventdata STRING,
  requestid STRING,
  eventid STRING,
  readonly STRING,
  resources ARRAY<STRUCT<arn: STRING, accountid: STRING, type: STRING>>,
  eventtype STRING,
  apiversion STRING,
  managementevent STRING,
  recipientaccountid STRING,
  serviceeventdetails STRING,
  sharedeventid STRING,
  vpcendpointid STRING,
  vpcendpointaccountid STRING,
  eventcategory STRING,
  insightdetails STRING,
  addendum STRUCT<reason: STRING, updatedfields: STRING, originalrequestid: STRING, originaleventid: STRING>,
  sessioncredentialfromconsole STRING,
  edgedevicedetails STRING,
  tlsdetails STRUCT<tlsversion: STRING, ciphersuite: STRING, clientprovidedhostheader: STRING>";

/// CloudTrail began in November 2013.
const FIRST_DAY: &str = "2013/11/01";
/// Stands in the DDL for what only a listing tells.
const UNKNOWN_ACCOUNTS: &str = "ACCOUNT,…";
const UNKNOWN_REGIONS: &str = "REGION,…";

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The database.
    pub database: String,
    /// The table in it.
    pub table: String,
}

impl TableName {
    /// Reads `DATABASE.TABLE`, or `TABLE` in `default`.
    ///
    /// # Errors
    /// It is none that Athena takes as it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (database, table) = text.split_once('.').unwrap_or(("default", text));
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !is_name(database) || !is_name(table) {
            return Err(format!("{text:?} is no DATABASE.TABLE: use small letters, digits and _"));
        }
        Ok(Self { database: database.to_owned(), table: table.to_owned() })
    }

    /// As a query has it.
    pub fn quoted(&self) -> String {
        format!("\"{}\".\"{}\"", self.database, self.table)
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What is known of a table that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its properties.
    pub properties: HashMap<String, String>,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// Columns that a table must have and this one has not.
pub fn missing_columns(known: &Known) -> Vec<&'static str> {
    // A column begins behind two spaces, what belongs to it behind more.
    let columns = COLUMNS.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let columns = columns.filter(|name| !name.is_empty());
    columns.filter(|name| !known.columns.iter().any(|known| known.eq_ignore_ascii_case(name))).collect()
}

/// A table over a trail's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// The folder that accounts are in, as a URL with a slash at its end.
    pub root: String,
    /// Accounts that it finds files of; empty if not known.
    pub accounts: Vec<String>,
    /// Regions that it finds files of; empty if not known.
    pub regions: Vec<String>,
}

impl Table {
    /// Over this place, with these accounts and regions and those that the place names.
    pub fn new(name: TableName, place: &Place, accounts: Vec<String>, regions: Vec<String>) -> Self {
        let with = |mut known: Vec<String>, named: &[String]| {
            known.extend_from_slice(named);
            known.sort();
            known.dedup();
            known
        };
        let (accounts, regions) = (with(accounts, &place.accounts), with(regions, &place.regions));
        Self { name, root: place.root(), accounts, regions }
    }

    /// What creates it.
    pub fn ddl(&self) -> String {
        let [(accounts, account_values), (regions, region_values)] = self.values();
        format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{table}` (
{COLUMNS}
)
PARTITIONED BY (`account` STRING, `region` STRING, `day` STRING)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{root}'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'enum',
  '{accounts}' = '{account_values}',
  'projection.region.type' = 'enum',
  '{regions}' = '{region_values}',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '{FIRST_DAY},NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  '{TEMPLATE}' = '{template}'
)",
            database = self.name.database,
            table = self.name.table,
            root = self.root,
            template = self.template(),
        )
    }

    /// What makes a table that is there find the accounts and regions of this one.
    pub fn alter(&self) -> String {
        let [(accounts, account_values), (regions, region_values)] = self.values();
        format!(
            "ALTER TABLE `{}`.`{}` SET TBLPROPERTIES (\n  '{accounts}' = '{account_values}',\n  '{regions}' = \
             '{region_values}'\n)",
            self.name.database, self.name.table
        )
    }

    /// With the accounts and regions, too, that a table that is there finds. None if it is over another place.
    pub fn joined(mut self, known: &Known) -> Option<(Self, Fit)> {
        let property = |name: &str| known.properties.get(name).map(String::as_str);
        if property(TEMPLATE) != Some(self.template().as_str()) {
            return None;
        }
        let mut fit = Fit::Fits;
        for (name, values) in [(ACCOUNTS, &mut self.accounts), (REGIONS, &mut self.regions)] {
            let known: Vec<&str> = property(name).unwrap_or_default().split(',').map(str::trim).collect();
            if values.iter().any(|value| !known.contains(&value.as_str())) {
                fit = Fit::Stale;
            }
            values.extend(known.into_iter().filter(|known| !known.is_empty()).map(str::to_owned));
            values.sort();
            values.dedup();
        }
        Some((self, fit))
    }

    fn values(&self) -> [(&'static str, String); 2] {
        let joined = |values: &[String], unknown: &str| match values {
            [] => unknown.to_owned(),
            values => values.join(","),
        };
        [
            (ACCOUNTS, joined(&self.accounts, UNKNOWN_ACCOUNTS)),
            (REGIONS, joined(&self.regions, UNKNOWN_REGIONS)),
        ]
    }

    fn template(&self) -> String {
        format!("{}${{account}}/CloudTrail/${{region}}/${{day}}/", self.root)
    }
}

const ACCOUNTS: &str = "projection.account.values";
const REGIONS: &str = "projection.region.values";
const TEMPLATE: &str = "storage.location.template";

/// Whether a table that is there finds all that is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// Accounts or regions came after it was made.
    Stale,
}
