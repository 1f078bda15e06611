//! Layers by the names that a builder gives them, and the numbers of their units.
use std::collections::HashMap;

use crate::nn::layers::Layer;

/// Sets the number of units of the layer `name`; whether there is one that has such a number.
pub(super) fn resize(layers: &mut [Layer], name: &str, units: u32) -> bool {
    let mut found = false;
    walk(layers, &mut HashMap::new(), &mut |of, layer| {
        if of != name {
            return;
        }
        found = true;
        match layer {
            Layer::Linear(layer) => layer.outputs = Some(units),
            Layer::Conv(layer) => layer.outputs = units,
            Layer::Gated(layer) => layer.outputs = units,
            Layer::Lstm(layer) => layer.units = units,
            Layer::Gru(layer) => layer.units = units,
            _ => found = false,
        }
    });
    found
}

/// Calls `visit` with each layer that has weights, and its name.
fn walk<'a>(
    layers: &'a mut [Layer],
    named: &mut HashMap<&'static str, u32>,
    visit: &mut dyn FnMut(&str, &mut Layer),
) {
    for layer in layers {
        if let Layer::Residual(residual) = layer {
            walk(&mut residual.layers, named, visit);
            continue;
        }
        let Some(name) = name(layer, named) else { continue };
        visit(&name, layer);
    }
}

/// The name of the next layer: its own, or its kind and number.
pub(super) fn name(layer: &Layer, named: &mut HashMap<&'static str, u32>) -> Option<String> {
    let (kind, name) = match layer {
        Layer::Linear(layer) => ("fc", &layer.name),
        Layer::Conv(layer) => ("conv", &layer.name),
        Layer::Gated(layer) => ("gated", &layer.name),
        Layer::Lstm(layer) => ("lstm", &layer.name),
        Layer::Gru(layer) => ("gru", &layer.name),
        _ => return None,
    };
    let number = named.entry(kind).or_default();
    *number += 1;
    Some(name.clone().unwrap_or_else(|| format!("{kind}{number}")))
}
