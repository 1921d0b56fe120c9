"""Writes a small GGUF file: a decoder with random weights over an alphabet of bytes.

    make_gguf.py FILE

It says nothing of sense, and answers as fast as a server can hand tokens on: what is measured is the server."""

import sys

import gguf
import numpy

WIDTH, LAYERS, HEADS, KEPT_HEADS, INNER, CONTEXT = 96, 3, 6, 2, 192, 4096


def vocabulary(writer):
    """Three marks, all bytes, and the letters as whole tokens, so that each token of an answer is text."""
    marks = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    single = [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [(mark + letter, gguf.TokenType.NORMAL) for mark in ("\u2581", "") for letter in letters]
    tokens = marks + single + words
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text, _ in tokens])
    writer.add_token_types([int(kind) for _, kind in tokens])
    writer.add_token_scores([0.0] * (len(tokens) - len(words)) + [-1.0 - place for place in range(len(words))])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(
        "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} {% endfor %}assistant "
    )
    return len(tokens)


def main():
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_name("small")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEPT_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    count = vocabulary(writer)
    writer.add_vocab_size(count)

    random = numpy.random.default_rng(20)

    def matrix(name, rows, columns):
        values = random.normal(0.0, columns**-0.5, (rows, columns))
        writer.add_tensor(name, values.astype(numpy.float32))

    def norm(name):
        writer.add_tensor(name, numpy.ones(WIDTH, numpy.float32))

    matrix("token_embd.weight", count, WIDTH)
    for layer in range(LAYERS):
        part = f"blk.{layer}."
        kept = WIDTH // HEADS * KEPT_HEADS
        norm(part + "attn_norm.weight")
        matrix(part + "attn_q.weight", WIDTH, WIDTH)
        matrix(part + "attn_k.weight", kept, WIDTH)
        matrix(part + "attn_v.weight", kept, WIDTH)
        matrix(part + "attn_output.weight", WIDTH, WIDTH)
        norm(part + "ffn_norm.weight")
        matrix(part + "ffn_gate.weight", INNER, WIDTH)
        matrix(part + "ffn_up.weight", INNER, WIDTH)
        matrix(part + "ffn_down.weight", WIDTH, INNER)
    norm("output_norm.weight")
    matrix("output.weight", count, WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
