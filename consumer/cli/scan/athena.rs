//! `trailmeter scan --engine athena`: what is asked, what it costs, and whether that is wanted.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use trailmeter_rules::ast::Expr;

use super::ScanArguments;
use crate::cli::{Failure, block_on, print};
use crate::event::time::DAY_S;
use crate::report::Format;
use crate::s3::{self, Patience};
use crate::scan::athena::{
    Answer, Asked, Athena, AthenaError, Estimate, Fit, Parts, Place, Query, Refusal, Service, Table,
    TableName, estimate, missing_columns, price,
};
use crate::scan::{Options, Outcome};

/// The listing is long, and one that fails is begun anew by hand.
const PATIENCE: Patience = Patience {
    retries: 5,
    answer: Duration::from_secs(30),
    give_up: Duration::from_secs(120),
    find_region: true,
};

#[derive(Args)]
#[command(next_help_heading = "Athena")]
pub(super) struct AthenaArguments {
    /// Who counts: this program, or Amazon Athena, where the files lie
    #[arg(long, env = "TRAILMETER_ENGINE", value_enum, default_value = "local")]
    engine: Engine,
    /// Print the SQL for Athena, and do nothing else; with --create-table also what creates the table
    #[arg(long, env = "TRAILMETER_PRINT_SQL", value_parser = FalseyValueParser::new())]
    print_sql: bool,
    /// The table over the trail's files
    #[arg(
        long,
        env = "TRAILMETER_ATHENA_TABLE",
        value_name = "DATABASE.TABLE",
        default_value = "default.trailmeter_cloudtrail"
    )]
    athena_table: String,
    /// Create the table if there is none; add accounts and regions to it that it does not know
    #[arg(long, env = "TRAILMETER_CREATE_TABLE", value_parser = FalseyValueParser::new())]
    create_table: bool,
    /// The workgroup
    #[arg(long, env = "TRAILMETER_ATHENA_WORKGROUP", value_name = "NAME", default_value = "primary")]
    athena_workgroup: String,
    /// Where Athena writes its results [default: where the workgroup says]
    #[arg(long, env = "TRAILMETER_ATHENA_RESULTS", value_name = "s3://…")]
    athena_results: Option<String>,
    /// What Athena costs: US dollars for each terabyte that it reads
    #[arg(long, env = "TRAILMETER_USD_PER_TB", value_name = "USD", default_value = "5", value_parser = dollars)]
    usd_per_tb: f64,
    /// Refuse to run what may cost more than this
    #[arg(long, env = "TRAILMETER_MAX_USD", value_name = "USD", value_parser = dollars)]
    max_usd: Option<f64>,
    /// Run it without being asked whether the price is fine
    #[arg(long, env = "TRAILMETER_YES", value_parser = FalseyValueParser::new())]
    yes: bool,
}

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// This program.
    Local,
    /// Amazon Athena.
    Athena,
}

fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| format!("{text:?} is no amount of US dollars: write 5 or 0.25"))
}

impl AthenaArguments {
    /// Whether Athena is asked, or would be.
    pub(super) fn are_used(&self) -> bool {
        self.engine == Engine::Athena || self.print_sql
    }

    /// Whether the SQL is all that is wanted.
    pub(super) fn print_sql(&self) -> bool {
        self.print_sql
    }
}

/// What is to be run.
pub(super) struct Plan<'a> {
    arguments: &'a AthenaArguments,
    asked: Asked,
    caller_values: usize,
    place: Place,
    table: TableName,
    /// What is delivered later than this after its time is not looked for.
    late_s: i64,
}

impl<'a> Plan<'a> {
    /// Reads the arguments.
    pub(super) fn new(arguments: &'a ScanArguments, options: &Options) -> Result<Self, Failure> {
        let athena = &arguments.athena;
        let [path] = arguments.paths.as_slice() else {
            let why = "--engine athena takes one place: scan each by itself, or what they are all in";
            return Err(Failure::Usage(why.to_owned()));
        };
        let refused = |what: &str, fix: &str| {
            Err(Failure::Usage(Refusal { what: what.to_owned(), fix: fix.to_owned() }.to_string()))
        };
        if options.rules.is_some() {
            return refused(
                "--rules and --pack, which remember and count in the order of the files",
                "leave out --engine athena, or put a rule's condition into --where",
            );
        }
        if arguments.remember.is_some() {
            return refused("--remember", "leave out --engine athena");
        }
        let table = TableName::parse(&athena.athena_table);
        let asked = Asked {
            group_by: options.group_by.clone(),
            only: options.only.as_ref().map(|rules| only(rules)).transpose()?,
            since_s: options.since_s,
            until_s: options.until_s,
            policy: options.policy.clone(),
            now_s: options.now_s,
            parts: parts(arguments),
        };
        Ok(Self {
            arguments: athena,
            asked,
            caller_values: options.caller_values,
            place: Place::parse(path)
                .and_then(|place| place.only(&arguments.account, &arguments.region))
                .map_err(Failure::Usage)?,
            late_s: arguments.delivered_within * DAY_S,
            table: table.map_err(|why| Failure::Usage(format!("--athena-table: {why}")))?,
        })
    }

    /// The SQL, as far as it is known before anything is listed.
    pub(super) fn print_sql(&self) -> Result<(), Failure> {
        let query = self.query(None)?;
        let mut text = String::new();
        if self.arguments.create_table {
            // Which accounts there are, only the config may know.
            let accounts = self.asked.policy.accounts.iter().cloned().collect();
            let table = Table::new(self.table.clone(), &self.place, accounts, Vec::new());
            text += &format!("{};\n\n", table.ddl());
        }
        print(&format!("{text}{};\n", query.sql))
    }

    /// The query over what was found, or over all that may be there.
    fn query(&self, found: Option<&Estimate>) -> Result<Query, Failure> {
        let Asked { since_s, until_s, .. } = self.asked;
        let mut days = self.place.days(since_s, until_s, self.late_s);
        if let Some(found) = found {
            days = found.days.clone();
        }
        Query::new(&self.asked, &self.table, &self.place, &days).map_err(|refusals| {
            let refusals: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            Failure::Usage(refusals.join("\n"))
        })
    }

    /// Counts, once it is known that the price is fine.
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        // What SQL can't say is told before anything is listed.
        self.query(None)?;
        block_on(async {
            let found = self.found().await?;
            self.confirm(&found)?;
            let service = Service {
                workgroup: self.arguments.athena_workgroup.clone(),
                output: self.arguments.athena_results.clone(),
                database: self.table.database.clone(),
            };
            let athena = Athena::connect(service).await?;
            self.table(&athena, &found).await?;
            let (id, bytes) = ran(&athena, &self.query(Some(&found))?.sql).await?;
            let mut answer = Answer::new(&self.asked, self.caller_values);
            athena.rows(&id, |row| answer.add(&row).map_err(anyhow::Error::from)).await?;
            let usd = price(bytes, self.arguments.usd_per_tb);
            eprintln!("Athena read {}: {}", HumanBytes(bytes), shown(usd));
            Ok(answer.outcome())
        })
    }

    /// What lies there.
    async fn found(&self) -> Result<Estimate, Failure> {
        let Asked { since_s, until_s, .. } = self.asked;
        let Place { bucket, base, .. } = &self.place;
        let failed = |error: object_store::Error| {
            Failure::Runtime(anyhow::anyhow!(
                "s3://{bucket}/{base} can't be listed: {}{}",
                s3::why(&error),
                s3::advice(&error)
            ))
        };
        let store = s3::connect(bucket, PATIENCE).await.map_err(failed)?;
        let days = self.place.days(since_s, until_s, self.late_s);
        let found = estimate(&store, &self.place, &days).await.map_err(failed)?;
        if found.objects == 0 {
            return Err(Failure::Runtime(anyhow::anyhow!(
                "{}ACCOUNT/CloudTrail/REGION/ has no files of that time: name the folder that AWSLogs/ is in, and of an \
                 organisation's trail AWSLogs/o-ID",
                self.place.root()
            )));
        }
        Ok(found)
    }

    /// Says what it costs, and asks.
    fn confirm(&self, found: &Estimate) -> Result<(), Failure> {
        let usd = found.price(self.arguments.usd_per_tb);
        eprintln!(
            "Athena will read {} in {} files ({} accounts, {} regions): {} at {} USD a TB",
            HumanBytes(found.bytes),
            HumanCount(found.objects),
            found.accounts.len(),
            found.regions.len(),
            shown(usd),
            self.arguments.usd_per_tb
        );
        if let Some(most) = self.arguments.max_usd.filter(|most| usd > *most) {
            let why = format!(
                "that is more than --max-usd {most}: narrow it with --since, --until or a longer prefix"
            );
            return Err(Failure::Usage(why));
        }
        if self.arguments.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::Usage("nobody can be asked whether that is fine: give --yes".to_owned()));
        }
        eprint!("Run it? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::Runtime(anyhow::anyhow!("not run"))),
        }
    }

    /// Sees to it that there is a table that finds all that was found.
    async fn table(&self, athena: &Athena, found: &Estimate) -> Result<(), Failure> {
        let names = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect();
        let table =
            Table::new(self.table.clone(), &self.place, names(&found.accounts), names(&found.regions));
        let (name, create) = (&self.table, self.arguments.create_table);
        let known = match athena.table(name).await {
            Ok(known) => known,
            Err(AthenaError::NoTable(why)) if !create => {
                return Err(Failure::Runtime(anyhow::anyhow!(
                    "{why}: give --create-table, or create {name} by\n\n{};",
                    table.ddl()
                )));
            }
            Err(AthenaError::NoTable(_)) => {
                let (_, _) = ran(athena, &table.ddl()).await?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let other = |why: String| {
            let fix = "name another with --athena-table, and give --create-table";
            Err(Failure::Runtime(anyhow::anyhow!("the table {name} {why}: {fix}")))
        };
        let missing = missing_columns(&known);
        if !missing.is_empty() {
            return other(format!("has no column {}", missing.join(", ")));
        }
        match table.joined(&known) {
            None => other(format!("is not over {}", self.place.root())),
            Some((_, Fit::Fits)) => Ok(()),
            Some((table, Fit::Stale)) if create => {
                let (_, _) = ran(athena, &table.alter()).await?;
                Ok(())
            }
            Some((table, Fit::Stale)) => Err(Failure::Runtime(anyhow::anyhow!(
                "the table {name} does not know all accounts and regions that have files: give --create-table, or alter it \
                 by\n\n{};",
                table.alter()
            ))),
        }
    }
}

/// The one condition of the rule that `--where` is.
fn only(rules: &trailmeter_rules::RuleSet) -> Result<Expr, Failure> {
    let rule =
        rules.rules().first().ok_or_else(|| Failure::Usage("--where: there is no condition".to_owned()))?;
    Ok(rule.condition.clone())
}

/// What a report has room for.
fn parts(arguments: &ScanArguments) -> Parts {
    let is_of_callers = match arguments.format {
        Format::Table => arguments.group_by.is_empty(),
        Format::Html => true,
        Format::Csv | Format::Json | Format::Ndjson | Format::Parquet => false,
    };
    let has_rows_alone = matches!(arguments.format, Format::Csv | Format::Ndjson | Format::Parquet);
    let is_of_rows = has_rows_alone && arguments.fail_on.is_none();
    Parts {
        accounting: !is_of_rows,
        trend: arguments.format == Format::Html,
        weak: !is_of_rows,
        lists: is_of_callers,
    }
}

/// Runs a query to its end, or stops it at Ctrl-C. Returns its id and the bytes that it read.
async fn ran(athena: &Athena, sql: &str) -> Result<(String, u64), Failure> {
    let id = athena.start(sql).await?;
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.enable_steady_tick(Duration::from_millis(200));
    let watch = |progress: crate::scan::athena::Progress| {
        bar.set_message(format!("{id} {}, {} read", progress.state, HumanBytes(progress.scanned_bytes)));
    };
    tokio::select! {
        ended = athena.finish(&id, watch) => {
            bar.finish_and_clear();
            Ok((id.clone(), ended?))
        }
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            athena.stop(&id).await?;
            Err(Failure::Runtime(anyhow::anyhow!("interrupted: the query {id} is stopped, what it read is to be paid")))
        }
    }
}

/// An amount, to the cent; a small one is told as such.
fn shown(usd: f64) -> String {
    if usd < 0.01 { "less than 0.01 USD".to_owned() } else { format!("about {usd:.2} USD") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!((dollars("5"), dollars("0.25")), (Ok(5.0), Ok(0.25)));
        for wrong in ["-1", "x", "inf", "NaN", ""] {
            assert!(dollars(wrong).unwrap_err().contains("write 5 or 0.25"), "{wrong}");
        }
        assert_eq!((shown(0.0099), shown(12.346)), ("less than 0.01 USD".into(), "about 12.35 USD".into()));
    }
}
