//! BERT: texts with padding and token types.
use secateur::pretrained::{Answer, PaddedText, Rows};

use super::{Golden, check};
use crate::models::{Copied, Held};

impl Golden {
    /// The texts of the golden file, and the same as features.
    pub(super) fn texts(&self) -> (Vec<PaddedText>, Vec<f32>) {
        let [ids, seen, types] =
            ["input_ids", "attention_mask", "token_type_ids"].map(|name| self.rows(name));
        let rows = ids.into_iter().zip(seen).zip(types);
        let text = |((ids, seen), types): ((Vec<u32>, Vec<u32>), Vec<u32>)| PaddedText {
            ids,
            seen: seen.into_iter().map(|seen| seen == 1).collect(),
            types,
        };
        let texts: Vec<PaddedText> = rows.map(text).collect();
        let features = texts.iter().flat_map(|text| {
            let seen = text.seen.iter().map(|&seen| f32::from(u8::from(seen)));
            let of = |numbers: &[u32]| numbers.iter().map(|&x| x as f32).collect::<Vec<_>>();
            [of(&text.ids), seen.collect(), of(&text.types)].concat()
        });
        let features = features.collect();
        (texts, features)
    }

    /// The hidden states that transformers gives, but for those of padding.
    fn check_hidden(&self) {
        let (texts, features) = self.texts();
        let length = texts[0].ids.len();
        assert_eq!(self.model.architecture().answer(), Answer::Hidden);
        let Some(ways) = self.outputs(Rows::Padded(&texts), &features, length) else { return };
        for rows in ways {
            let width = rows[0].len() / length;
            check(&self.name, &rows[0], &self.floats("last_hidden_state_row0"));
            let first = &rows[1][..11 * width];
            check(&self.name, first, &self.floats("last_hidden_state_row1_first11"));
        }
    }
}

#[test]
fn bert_with_padding_and_token_types() {
    Golden::open("bert").check_hidden();
}

/// As `BertForPreTraining` has them: a prefix, no pooler, heads of other tasks, a buffer.
#[test]
fn bert_with_its_prefix_and_with_heads_that_are_left_out() {
    let mut copied = Copied::of("bert").renamed(|name| format!("bert.{name}"));
    copied.tensors.retain(|name, _| !name.contains("pooler"));
    let copied = copied
        .set("position_embedding_type", "absolute")
        .put("cls.predictions.bias", Held::floats(&[83], &[0.0; 83]))
        .put("cls.seq_relationship.bias", Held::floats(&[2], &[0.0; 2]))
        .put("bert.embeddings.position_ids", Held::floats(&[1, 48], &[0.0; 48]));
    Golden::at(copied.write(), "bert with a prefix").check_hidden();
}

#[test]
fn bert_that_says_what_a_text_is() {
    let golden = Golden::open("bert_classes");
    assert_eq!(golden.model.architecture().answer(), Answer::Class { classes: 3 });
    let (texts, features) = golden.texts();
    let length = texts[0].ids.len();
    let Some(ways) = golden.outputs(Rows::Padded(&texts), &features, length) else { return };
    for rows in ways {
        check("bert_classes", &rows.concat(), &golden.floats("logits"));
    }
    // Both at once, and with room for a third one.
    let gpu = crate::common::gpu().expect("asked before");
    for batch in [2, 3] {
        let rows = golden.model.outputs_by(gpu, Rows::Padded(&texts), batch).unwrap().rows.concat();
        let rows: Vec<f64> = rows.into_iter().map(f64::from).collect();
        check("bert_classes", &rows, &golden.floats("logits"));
    }
}
