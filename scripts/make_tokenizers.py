#!/usr/bin/env python3
"""Writes the tiny tokenizers of the tests, and what Hugging Face's library makes of awkward texts.

    pip install tokenizers==0.23.3
    scripts/make_tokenizers.py tests/goldens/tokenizers

Each FORM.json is a tokenizer.json: byte-level BPE as GPT-2 and SmolLM have it (`bpe`), the same with a pattern and a
first token as Llama 3 has them (`llama3`), WordPiece as BERT (`wordpiece`), Unigram as models of sentencepiece
(`unigram`). They say that ids are to be cut and padded, which a reader of whole texts must not do. ids.json has the
texts, their ids with and without the tokens that a tokenizer adds, and rows padded and cut as for embeddings.

The library's training breaks ties in another order each time, so tokenizers that are there already are kept: delete one
to have another.
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """A network is trained until its loss no longer falls, and then it is pruned.
Pruning sets the smallest weights to zero; the others are trained on, and learn what the lost ones knew.
Half of the weights can go from most layers before anybody sees a difference. A tenth that stays is rarely enough!
What is a weight worth? Its size says something, the size of its inputs says more, and the loss says most.

First Reader:
Before we proceed any further, hear me speak.

All:
Speak, speak.

\tIndented lines, numbers such as 1984, 3.14 and 2:4, and names in CAPITALS are in every text.
The café is über-full, naïve guests wait outside.
""" * 3

TEXTS = [
    "",
    "Hello world, hello weights!",
    "  two leading spaces, and two trailing  ",
    "line one\r\nline two\r\n\r\nline four\r\n",
    "\n\n\nempty lines before,\n\n\nbetween and after\n\n",
    "a  \n  b\n\tc\n \nd",
    "emoji \U0001f600\U0001f44d\U0001f3fd, a family \U0001f468\u200d\U0001f469\u200d\U0001f467, a flag \U0001f1e9\U0001f1ea",
    "cafe\u0301, café, \ufb01ne, \u00bd, \uff26\uff35\uff2c\uff2c, \u4e2d\u6587\u5b57, \u0645\u0631\u062d\u0628\u0627",
    "weights" * 150,
    " " * 300 + "x",
    "special <|endoftext|> tokens<|im_start|>inside [MASK] of\n<|endoftext|>\nthe text </s> and <pad>",
    "no\u00a0break, zero\u200bwidth, nul\u0000, bell\u0007, bom \ufeff, line\u2028separator",
    "1234567890 3.14 1,000 it's we'll IT'S 'twas",
    "Ends in a line end\n",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def byte_level(first, size, special):
    tokenizer = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=first is None)
    if first:
        first = pre_tokenizers.Split(Regex(first), behavior="isolated", invert=False)
        last = pre_tokenizers.Sequence([first, last])
    tokenizer.pre_tokenizer = last
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    # Line ends in one token are what an encoder in pieces can get wrong.
    tokenizer.train_from_iterator([CORPUS, "\n\n" * 40, " \n" * 40, "    " * 40, ";\n" * 40], trainer)
    return tokenizer


def bpe():
    tokenizer = byte_level(None, 500, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def llama3():
    tokenizer = byte_level(LLAMA3, 480, ["<|begin_of_text|>", "<|endoftext|>"])
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([CORPUS], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    tokenizer.add_special_tokens([AddedToken("<extra_id_0>", lstrip=True, rstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def rows_of(tokenizer, texts, length):
    """Ids, attention masks and token types of one text a row, padded to the longest, or cut or padded to `length`."""
    pad = tokenizer.token_to_id("[PAD]")
    tokenizer.no_truncation()
    tokenizer.enable_padding(pad_id=pad, pad_token="[PAD]", length=length)
    if length:
        tokenizer.enable_truncation(length)
    encoded = tokenizer.encode_batch(texts)
    return {
        "ids": [e.ids for e in encoded],
        "mask": [e.attention_mask for e in encoded],
        "types": [e.type_ids for e in encoded],
    }


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    forms, ids = {"bpe": bpe, "llama3": llama3, "wordpiece": wordpiece, "unigram": unigram}, {}
    for form, make in forms.items():
        path = folder / f"{form}.json"
        tokenizer = Tokenizer.from_file(str(path)) if path.exists() else make()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        ids[form] = {
            "vocabulary": tokenizer.get_vocab_size(),
            "ids": [tokenizer.encode(text).ids for text in TEXTS],
            "plain": [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS],
        }
        tokenizer.enable_truncation(4)
        tokenizer.enable_padding(pad_id=0, length=7)
        text = tokenizer.to_str(pretty=False)
        assert len(text) < 30_000, (form, len(text))
        path.write_text(text + "\n")
    lines = [text for text in TEXTS if len(text.splitlines()) <= 1 and text == text.rstrip("\n")]
    lines = [line for line in lines if "\u2028" not in line]
    tokenizer = Tokenizer.from_file(str(folder / "wordpiece.json"))
    rows = {"lines": lines, "longest": rows_of(tokenizer, lines, None), "eight": rows_of(tokenizer, lines, 8)}
    answers = {"texts": TEXTS, "forms": ids, "rows": rows}
    (folder / "ids.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")


main(*sys.argv[1:])
