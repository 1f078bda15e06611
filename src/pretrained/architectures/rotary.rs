//! The frequencies of rotary positions by their settings.
use crate::Result;
use crate::graph::{RotaryScaling, rotary_frequencies};
use crate::pretrained::config::Config;

/// The frequencies of rotary positions, as newer or older files say them.
pub(super) fn frequencies(config: &Config, head_size: u32) -> Result<Vec<f32>> {
    let both = [config.object("rope_parameters")?, config.object("rope_scaling")?];
    let of = both.iter().flatten().next();
    let base = match of.map(|of| of.number_or("rope_theta", 0.0)).transpose()? {
        Some(base) if base > 0.0 => base,
        _ => config.number_or("rope_theta", 10_000.0)?,
    };
    // Newer files may say it in both places.
    config.ignore(&["rope_theta"]);
    config.only("partial_rotary_factor", 1.0)?;
    let mut scaling = RotaryScaling::None;
    if let Some(of) = of {
        of.only("partial_rotary_factor", 1.0)?;
        // Older files call it `type`, and some newer ones both.
        let name = if of.get("rope_type").is_some() { "rope_type" } else { "type" };
        let kind = of.text(name)?.unwrap_or("default");
        of.ignore(&["type"]);
        scaling = match kind {
            "default" => RotaryScaling::None,
            "linear" => RotaryScaling::Linear(of.positive("factor")?),
            "llama3" => RotaryScaling::Llama3 {
                factor: of.positive("factor")?,
                low: of.positive("low_freq_factor")?,
                high: of.positive("high_freq_factor")?,
                length: of.positive("original_max_position_embeddings")?,
            },
            _ => return Err(of.wrong(name, "known are default, linear, llama3")),
        };
        of.check_all_read()?;
    }
    Ok(rotary_frequencies(base, head_size / 2, scaling))
}
