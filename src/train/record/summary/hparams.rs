//! What TensorBoard's HParams dashboard reads: values of a summary that are metadata only.
use super::Hparam;
use super::proto::Message;
use crate::{Error, Result};

pub(super) const START_TAG: &str = "_hparams_/session_start_info";
pub(super) const END_TAG: &str = "_hparams_/session_end_info";

/// Field numbers of `SummaryMetadata` and its `PluginData`, and of the plugin's
/// `HParamsPluginData`, `SessionStartInfo` with its map entries, `SessionEndInfo`; and of
/// `google.protobuf.Value`.
mod field {
    pub const METADATA_PLUGIN_DATA: u64 = 1;
    pub const PLUGIN_DATA_NAME: u64 = 1;
    pub const PLUGIN_DATA_CONTENT: u64 = 2;
    pub const HPARAMS_START_INFO: u64 = 3;
    pub const HPARAMS_END_INFO: u64 = 4;
    pub const START_HPARAMS: u64 = 1;
    pub const START_TIME_SECS: u64 = 5;
    pub const ENTRY_KEY: u64 = 1;
    pub const ENTRY_VALUE: u64 = 2;
    pub const VALUE_NUMBER: u64 = 2;
    pub const VALUE_STRING: u64 = 3;
    pub const VALUE_BOOL: u64 = 4;
    pub const END_STATUS: u64 = 1;
    pub const END_TIME_SECS: u64 = 2;
}

/// `Status.STATUS_SUCCESS`.
const SUCCESS: u64 = 1;

/// Refuses what the dashboard would drop without a word.
pub(super) fn check(hparams: &[(&str, Hparam)]) -> Result<()> {
    for (name, value) in hparams {
        if let Hparam::Number(number) = value
            && !number.is_finite()
        {
            let message = format!("{number} is no finite number; give it as text");
            return Err(Error::argument(*name, message));
        }
    }
    Ok(())
}

/// Metadata of the value [`START_TAG`], of a run that began `now` seconds after 1970.
pub(super) fn start_info(metadata: &mut Message, hparams: &[(&str, Hparam)], now: f64) {
    plugin_data(metadata, field::HPARAMS_START_INFO, |info| {
        for (name, value) in hparams {
            info.message(field::START_HPARAMS, |entry| {
                entry.bytes(field::ENTRY_KEY, name.as_bytes());
                entry.message(field::ENTRY_VALUE, |out| match value {
                    Hparam::Number(number) => out.double(field::VALUE_NUMBER, *number),
                    Hparam::Text(text) => out.bytes(field::VALUE_STRING, text.as_bytes()),
                    Hparam::Bool(switch) => out.varint(field::VALUE_BOOL, u64::from(*switch)),
                });
            });
        }
        info.double(field::START_TIME_SECS, now);
    });
}

/// Metadata of the value [`END_TAG`], of a run that ended well `now` seconds after 1970.
pub(super) fn end_info(metadata: &mut Message, now: f64) {
    plugin_data(metadata, field::HPARAMS_END_INFO, |info| {
        info.varint(field::END_STATUS, SUCCESS);
        info.double(field::END_TIME_SECS, now);
    });
}

fn plugin_data(metadata: &mut Message, kind: u64, fill: impl FnOnce(&mut Message)) {
    metadata.message(field::METADATA_PLUGIN_DATA, |plugin| {
        plugin.bytes(field::PLUGIN_DATA_NAME, b"hparams");
        plugin.message(field::PLUGIN_DATA_CONTENT, |content| content.message(kind, fill));
    });
}
