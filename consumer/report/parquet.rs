//! Parquet: the rows as columns with types, for whatever reads them on.
//!
//! Texts with dictionaries, truth values, `calls` as a whole number, times in UTC to the millisecond (there are no
//! seconds in Parquet). Nothing is null: a missing value is an empty text, as everywhere.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::Report;
use crate::scan::{Outcome, Sum};

/// Rows that are laid out at once: what the crate's own Arrow writer takes by default.
const GROUP_ROWS: usize = 1 << 20;

/// Writes the rows.
pub fn write(report: &Report, outcome: &Outcome, output: &mut impl Write) -> io::Result<()> {
    output.write_all(&file(report, outcome).map_err(io::Error::other)?)
}

fn file(report: &Report, outcome: &Outcome) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("trailmeter ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema(report)?, Arc::new(properties.build()))?;
    for rows in report.rows(outcome).chunks(GROUP_ROWS) {
        let mut group = file.next_row_group()?;
        for (at, field) in report.group_by.iter().enumerate() {
            let values = rows.iter().map(|(values, _)| values[at].as_str());
            if field.is_boolean() {
                column::<BoolType>(&mut group, values.map(|value| value == "true").collect())?;
            } else {
                column::<ByteArrayType>(&mut group, values.map(ByteArray::from).collect())?;
            }
        }
        let sums: [fn(&Sum) -> i64; 3] = [
            |sum| sum.calls.min(i64::MAX as u64).cast_signed(),
            |sum| sum.first_s.saturating_mul(1000),
            |sum| sum.last_s.saturating_mul(1000),
        ];
        for of_sum in sums {
            column::<Int64Type>(&mut group, rows.iter().map(|(_, sum)| of_sum(sum)).collect())?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(bytes)
}

fn schema(report: &Report) -> Result<TypePtr, ParquetError> {
    let time = || LogicalType::timestamp(true, TimeUnit::MILLIS);
    let mut fields = Vec::new();
    for field in &report.group_by {
        fields.push(if field.is_boolean() {
            field_of(field.name(), Physical::BOOLEAN, None)?
        } else {
            field_of(field.name(), Physical::BYTE_ARRAY, Some(LogicalType::String))?
        });
    }
    fields.push(field_of("calls", Physical::INT64, None)?);
    for name in ["first_seen", "last_seen"] {
        fields.push(field_of(name, Physical::INT64, Some(time()))?);
    }
    Ok(Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?))
}

fn field_of(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<TypePtr, ParquetError> {
    let field = Type::primitive_type_builder(name, physical).with_logical_type(logical);
    Ok(Arc::new(field.with_repetition(Repetition::REQUIRED).build()?))
}

/// Writes the next column of a group.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: Vec<T::T>,
) -> Result<(), ParquetError> {
    // The schema has as many columns as are written.
    let missing = || ParquetError::General("there is no further column".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}
