//! Networks for images: the vision transformer, ResNet.
use secateur::pretrained::{Input, Rows};

use super::{Golden, check};

impl Golden {
    /// Two images, sin(0.05 i) of element i of [images, channels, height, width], with the
    /// channels last.
    pub(super) fn pixels(&self) -> Vec<f32> {
        let Input::Images { side, channels } = self.model.architecture().input() else {
            panic!("{} takes no images", self.name);
        };
        let [channels, places] = [channels, side * side].map(|n| n as usize);
        let pixel = |i: usize| {
            let (c, p, image) = (i % channels, i / channels % places, i / channels / places);
            let place = (image * channels + c) * places + p;
            (0.05 * place as f64).sin() as f32
        };
        (0..2 * channels * places).map(pixel).collect()
    }

    /// The logits that transformers gives.
    pub(super) fn check_images(&self) {
        let pixels = self.pixels();
        let Some(ways) = self.outputs(Rows::Images(&pixels), &pixels, 1) else { return };
        for rows in ways {
            check(&self.name, &rows.concat(), &self.floats("logits"));
        }
    }
}

#[test]
fn vit_with_a_class_token() {
    Golden::open("vit").check_images();
}

#[test]
fn resnet_of_bottlenecks() {
    Golden::open("resnet").check_images();
}

#[test]
fn resnet_of_basic_layers_that_halves_images_at_once() {
    Golden::open("resnet_basic").check_images();
}

#[test]
fn resnet_that_halves_images_before_its_bottlenecks() {
    Golden::open("resnet_early").check_images();
}
