#!/usr/bin/env python3
"""Makes what transformers writes with the tiny language models of tests/goldens/models.

    python scripts/make_generation_goldens.py [FOLDER]

Needs torch and transformers; FOLDER is tests/goldens, and the file generation.json in it. Of each
model a prompt, the most probable tokens behind it (`generate(do_sample=False)` with its cache), and
the logits that each was chosen by.
"""
import json
import pathlib
import sys

import torch
import transformers as t

MODELS = [
    "gpt2",
    "gpt2_scaled",
    "llama",
    "llama3_rope",
    "llama_biases",
    "mistral",
    "qwen2",
    "qwen3",
]
# More than the windows of mistral and qwen3; both together are fewer than the positions of any.
PROMPT, TOKENS = 11, 10
# Between the two highest logits: roundings choose no token.
MARGIN = 2e-3


def written(path, seed):
    model = t.AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()
    model.generation_config.eos_token_id = None
    generator = torch.Generator().manual_seed(seed)
    prompt = torch.randint(model.config.vocab_size, (1, PROMPT), generator=generator)
    with torch.no_grad():
        out = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
            max_new_tokens=TOKENS,
            output_logits=True,
            return_dict_in_generate=True,
        )
    logits = torch.cat(out.logits)
    highest = logits.topk(2).values
    if (highest[:, 0] - highest[:, 1]).min() < MARGIN:
        return written(path, seed + 1)
    return {
        "prompt": prompt[0].tolist(),
        "tokens": out.sequences[0, PROMPT:].tolist(),
        "logits": [[round(x, 5) for x in row] for row in logits.tolist()],
    }


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/goldens")
    of = {"torch": torch.__version__, "transformers": t.__version__}
    of |= {name: written(folder / "models" / name, 0) for name in MODELS}
    path = folder / "generation.json"
    path.write_text(json.dumps(of, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


main()
