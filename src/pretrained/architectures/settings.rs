//! What several architectures read from settings and names in the same way.
use serde_json::{Map, Value};

use super::{Names, Settings};
use crate::pretrained::config::Config;
use crate::pretrained::preparation::Preparation;
use crate::{Error, Result};

/// What most networks for images were trained on, where the folder does not say it.
const SIDE: u32 = 224;

/// What all names of the file begin with: the first of `prefixes` with which `name` is there.
pub(super) fn prefix(
    config: &Config,
    names: &dyn Names,
    prefixes: &[&str],
    name: &str,
) -> Result<String> {
    let found = prefixes.iter().find(|prefix| names.has(&format!("{prefix}{name}")));
    found.map(|&prefix| prefix.to_owned()).ok_or_else(|| {
        let tried: Vec<String> = prefixes.iter().map(|p| format!("{p}{name}")).collect();
        let message =
            format!("a model of this config has {}, the file has not", tried.join(" or "));
        Error::file(config.path(), message)
    })
}

/// The extents of `name`, which says sizes that the settings do not.
pub(super) fn extents<const RANK: usize>(
    config: &Config,
    names: &dyn Names,
    name: &str,
) -> Result<[u32; RANK]> {
    let found = names.extents(name);
    let fits = found.as_ref().and_then(|dims| <[u32; RANK]>::try_from(dims.as_slice()).ok());
    fits.filter(|dims| !dims.contains(&0)).ok_or_else(|| {
        let found = found.map_or_else(|| "missing".to_owned(), |dims| format!("{dims:?}"));
        let message =
            format!("{name} is {found}; a model of this config has one of {RANK} extents");
        Error::file(config.path(), message)
    })
}

/// The classes of a head, of which transformers says only what differs from two.
pub(super) fn classes(config: &Config) -> Result<u32> {
    let named = match config.get("id2label") {
        Some(Value::Object(names)) => u32::try_from(names.len()).ok(),
        _ => None,
    };
    let number = config.count_or_none("num_labels")?;
    Ok(named.or(number).unwrap_or(2))
}

/// `size` shared among `heads`.
pub(super) fn shared(config: &Config, [size, heads]: [(&str, u32); 2]) -> Result<u32> {
    let ((name, size), (of, heads)) = (size, heads);
    match size % heads {
        0 => Ok(size / heads),
        _ => Err(config.wrong(name, format_args!("the {heads} of `{of}` do not divide it"))),
    }
}

/// The number of blocks, which is below that of the tensors: so no loop over them is endless.
pub(super) fn blocks(config: &Config, names: &dyn Names, name: &str) -> Result<u32> {
    let (blocks, tensors) = (config.count(name)?, names.count());
    if blocks as usize > tensors {
        return Err(config.wrong(name, format_args!("the files have {tensors} tensors")));
    }
    Ok(blocks)
}

/// That the file has the classifier `head`.
pub(super) fn check_head(config: &Config, names: &dyn Names, head: &str) -> Result<()> {
    if names.has(head) {
        return Ok(());
    }
    let message = format!("{head} is missing: only networks for images with a classifier are read");
    Err(Error::file(config.path(), message))
}

/// The classes of a network of timm with the classifier `head`, whose first position or mean is
/// what `pool` says.
pub(super) fn timm_classes(
    config: &Config,
    names: &dyn Names,
    [head, pool]: [&str; 2],
) -> Result<u32> {
    config.only("global_pool", pool)?;
    config.ignore(&["num_features", "pretrained_cfg", "label_names", "label_descriptions"]);
    check_head(config, names, head)?;
    config.count("num_classes")
}

/// Height and width of the images: a network of convolutions takes any, so what prepares its
/// images says it.
pub(super) fn side(config: &Config) -> Result<u32> {
    if let Some(side) = config.count_or_none("image_size")? {
        return Ok(side);
    }
    // What is wrong there is said to whoever prepares images.
    let of = Preparation::read(config).ok().flatten();
    Ok(of.and_then(|of| of.side()).map_or(SIDE, |[height, _]| height))
}

/// Sets what loaders make a smaller network by.
pub(super) fn resized(
    settings: &mut Settings,
    name: &str,
    value: impl Into<Value>,
) -> Result<(), String> {
    settings.insert(name.to_owned(), value.into());
    Ok(())
}

/// The same in the object `of`.
pub(super) fn resized_in(
    settings: &mut Settings,
    of: &str,
    name: &str,
    value: impl Into<Value>,
) -> Result<(), String> {
    let object = settings.entry(of).or_insert(Value::Null);
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    match object {
        Value::Object(object) => resized(object, name, value),
        other => Err(format!("`{of}` is {other}")),
    }
}

/// Why heads stay where their channels are what `width` says over their number.
pub(super) fn unsaid_heads(name: &str, width: u32) -> String {
    format!("a head has `{name}`, {width}, over the number of heads as its channels, and no other")
}
