"""Loading: every precision on a CPU, quantised checkpoints, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel, modeling_utils

from qwen_app.errors import DoesNotFit, ModelFilesError
from qwen_app.models.files.manifest import write_manifest
from qwen_app.models.loading import dense, four_bits, reader
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load
from qwen_app.models.loading.source import Source
from tests.models.small_gguf import WIDTH, write_gguf
from tests.tiny_qwen import changed_weights, save_tiny_qwen


def greedy(loaded: LoadedModel, text: str, tokens: int) -> str:
    prompt = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = loaded.model.generate(**prompt, do_sample=False, temperature=None, top_p=None, max_new_tokens=tokens)
    answer = loaded.tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert isinstance(answer, str)
    return answer


def test_weights_are_not_given_their_memory_in_one_piece(monkeypatch: pytest.MonkeyPatch, tiny_qwen_dir: Path) -> None:
    taken: list[object] = []
    monkeypatch.setattr(modeling_utils, "caching_allocator_warmup", lambda *about: taken.append(about))
    usual = modeling_utils.caching_allocator_warmup
    load(tiny_qwen_dir, precision="fp32")
    assert not taken
    assert modeling_utils.caching_allocator_warmup is usual
    AutoModelForCausalLM.from_pretrained(tiny_qwen_dir, device_map="cpu")
    assert taken  # it is still called, and by this name


@pytest.mark.slow
def test_the_built_in_model_knows_paris(builtin_dir: Path) -> None:
    loaded = load(builtin_dir, precision="fp32")
    assert loaded.name == "SmolLM2-135M-Instruct"
    assert (loaded.precision, loaded.device.type) == ("fp32", "cpu")
    assert loaded.model.config.get_text_config().max_position_embeddings == 8192
    assert loaded.weights_bytes == pytest.approx(4 * 134_515_008, rel=1e-4)
    assert not loaded.model.training
    assert "Paris" in greedy(loaded, "What is the capital of France?", 12)


@pytest.mark.parametrize(("precision", "number_bytes"), [("fp32", 4), ("fp16", 2), ("bf16", 2)])
def test_dense_precisions(tiny_qwen_dir: Path, precision: str, number_bytes: int) -> None:
    loaded = load(tiny_qwen_dir, precision=precision)
    weight = loaded.model.get_input_embeddings().weight
    assert weight.element_size() == number_bytes
    assert loaded.generation_config.top_k == 20


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_bitsandbytes_answers_on_a_cpu(tiny_qwen_dir: Path, precision: str) -> None:
    import torch

    loaded = load(tiny_qwen_dir, precision=precision)
    dense = load(tiny_qwen_dir, precision="fp32")
    assert loaded.precision == precision
    assert loaded.weights_bytes < dense.weights_bytes
    ids = torch.arange(1, 21).unsqueeze(0)  # Gemma pads with 0, whose embedding is nothing
    with torch.no_grad():
        ours, exact = loaded.model(ids).logits.float(), dense.model(ids).logits
    assert torch.isfinite(ours).all()
    similarity = torch.nn.functional.cosine_similarity(ours, exact, dim=-1)
    assert similarity.min() > 0.9


def test_a_weight_left_off_the_card_is_no_room(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a map over several devices could not place is on ``meta``, and would be copied in at every step."""
    whole = dense.load_weights

    def spilled(source: Source) -> PreTrainedModel:
        model = whole(source)
        model.get_output_embeddings().to("meta")
        return model

    monkeypatch.setattr(reader, "load_weights", spilled)
    with pytest.raises(DoesNotFit, match="do not fit the device in fp32"):
        load(tiny_qwen_dir, precision="fp32")


@pytest.mark.parametrize(("on_a_card", "cards", "mapped"), [(False, 1, "cpu"), (True, 1, {"": 0}), (True, 2, "auto")])
def test_one_card_takes_every_layer(
    on_a_card: bool, cards: int, mapped: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "on_a_card", lambda: on_a_card)
    assert dense.device_map_for(cards) == mapped


@pytest.mark.slow
def test_4bit_is_nf4_with_double_quantisation(tiny_qwen_dir: Path) -> None:
    config = load(tiny_qwen_dir, precision="4bit").model.config.quantization_config
    assert config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_use_double_quant is True


@pytest.mark.parametrize("architecture", ["qwen2", "gemma"])  # read by tensor, and loaded whole
def test_int4_rounds_layers_and_keeps_the_model(tiny_qwen_dir: Path, tmp_path: Path, architecture: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GemmaConfig

    folder = tmp_path / "model"
    shutil.copytree(tiny_qwen_dir, folder)
    if architecture == "gemma":
        sizes = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        config = GemmaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=16, eos_token_id=258)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    loaded, dense = load(folder, precision="int4"), load(folder, precision="fp32")
    assert loaded.precision == "int4"
    assert loaded.weights_bytes < dense.weights_bytes / 2
    ids = torch.arange(1, 21).unsqueeze(0)  # Gemma pads with 0, whose embedding is nothing
    with torch.no_grad():
        ours, exact = loaded.model(ids).logits, dense.model(ids).logits
    assert torch.nn.functional.cosine_similarity(ours, exact, dim=-1).min() > 0.9


@pytest.mark.slow
def test_the_built_in_model_in_int4_hardly_differs(builtin_dir: Path) -> None:
    """Its file is 4-bit in groups of 32, which are found again; only the head is rounded."""
    import torch

    text = (Path(__file__).parents[3] / "bench" / "quality_text.txt").read_text()
    loaded = load(builtin_dir, precision="int4")
    ids = torch.tensor([loaded.tokenizer(text)["input_ids"][:256]])
    with torch.inference_mode():
        ours = loaded.model(ids).logits[0].log_softmax(-1)
        exact = load(builtin_dir, precision="fp32").model(ids).logits[0].log_softmax(-1)
    assert (exact.exp() * (exact - ours)).sum(-1).mean() < 0.002


def test_a_checkpoint_that_needs_a_missing_package_names_it(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "awq"
    shutil.copytree(tiny_qwen_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    other = {"model_type": "gemma", "quantization_config": {"quant_method": "awq"}}  # of the Llama family we read it
    (folder / "config.json").write_text(json.dumps({**config, **other}))
    with pytest.raises(ModelFilesError, match="pip install gptqmodel"):
        load(folder, precision="fp16")


@pytest.mark.parametrize("method", ["fp8", "mxfp4", "json", "no.such.module", ""])
def test_a_quantisation_without_a_reader_is_refused_and_never_looked_up(
    tiny_qwen_dir: Path, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    settings = {"quant_method": method or None}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    looked_up: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", looked_up.append)
    with pytest.raises(ModelFilesError, match=f"comes quantised as '{method or 'none'}', which is not read here"):
        load(folder, precision="fp32")
    assert looked_up == []


@pytest.mark.parametrize("precision", ["fp32", "int4"])
@torch.inference_mode()
def test_names_of_a_decoder_that_was_saved_by_itself_are_read(
    tiny_qwen_dir: Path, tmp_path: Path, precision: str
) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "model"))
    with changed_weights(folder) as tensors:
        for name in list(tensors):
            tensors[name.removeprefix("model.")] = tensors.pop(name)
    usual, by_itself = (load(path, precision=precision).model for path in (tiny_qwen_dir, folder))
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(by_itself(ids).logits, usual(ids).logits)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_that_no_file_has_are_named_and_never_made_up(
    tiny_qwen_dir: Path, tmp_path: Path, precision: str
) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "model"))
    with changed_weights(folder) as tensors:
        for name in [name for name in tensors if ".layers.1." in name]:
            del tensors[name]
    with pytest.raises(ModelFilesError, match=r"lack 12 of its weights, such as model\.layers\.1\.input_layernorm"):
        load(folder, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_tensor_of_another_shape_than_the_configuration_says_is_named(
    tiny_qwen_dir: Path, tmp_path: Path, precision: str
) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "model"))
    name = "model.layers.1.mlp.up_proj.weight"
    with changed_weights(folder) as tensors:
        tensors[name] = tensors[name][:-8].clone()
    with pytest.raises(ModelFilesError, match=rf"{name} has the shape \[120, 64\], and config\.json wants \[128, 64\]"):
        load(folder, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int4"])
def test_biases_that_the_configuration_does_not_mention_are_taken_or_refused(tmp_path: Path, precision: str) -> None:
    """They were dropped in silence, and answers were noise."""
    folder = save_tiny_qwen(tmp_path)
    with changed_weights(folder) as tensors:
        tensors["model.layers.0.self_attn.o_proj.bias"] = torch.ones(64)
    if precision == "int4":
        assert load(folder, precision=precision).model.model.layers[0].self_attn.o_proj.bias is not None
    else:
        with pytest.raises(ModelFilesError, match=r"1 biases .* such as model\.layers\.0\.self_attn\.o_proj\.bias"):
            load(folder, precision=precision)


def test_biases_of_a_gguf_file_that_its_architecture_does_not_have_are_refused(tmp_path: Path) -> None:
    def biased(writer: GGUFWriter) -> None:
        writer.add_tensor("blk.0.attn_q.bias", np.ones(WIDTH, np.float32))

    path = write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_1, also=biased)
    with pytest.raises(ModelFilesError, match=r"1 biases .* such as model\.layers\.0\.self_attn\.q_proj\.bias"):
        load(path, precision="fp32")


@pytest.mark.parametrize("precision", ["fp32", "int4"])
@pytest.mark.parametrize("left_out_bytes", [100, 100_000])
def test_a_gguf_file_that_is_cut_short_says_so(tmp_path: Path, precision: str, left_out_bytes: int) -> None:
    path = write_gguf(tmp_path / "model.gguf", "qwen2", Kind.Q4_0)
    path.write_bytes(path.read_bytes()[:-left_out_bytes])
    with pytest.raises(ModelFilesError, match=r"it is cut short\. Fetch it again"):
        load(path, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_of_shards_and_one_file_the_same_is_read_in_every_precision(tmp_path: Path, precision: str) -> None:
    folder = save_tiny_qwen(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    shard = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    save_file(shard, folder / "model-00001-of-00001.safetensors", {"format": "pt"})
    index = {"weight_map": dict.fromkeys(tensors, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    norm = load(folder, precision=precision).model.model.norm.weight
    assert torch.equal(norm.float(), tensors["model.norm.weight"])


def test_a_tied_head_is_not_missing(tmp_path: Path) -> None:
    folder = save_tiny_qwen(tmp_path)
    with changed_weights(folder) as tensors:
        del tensors["lm_head.weight"]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    assert load(folder, precision="fp32").precision == "fp32"
    assert load(folder, precision="int4").precision == "int4"


@pytest.mark.parametrize(
    "full",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        OSError("Cannot allocate memory (os error 12)"),
    ],
)
def test_weights_that_no_memory_is_left_for_do_not_fit(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch, full: Exception
) -> None:
    def fails(source: Source) -> PreTrainedModel:
        raise full

    monkeypatch.setattr(reader, "load_weights", fails)
    with pytest.raises(DoesNotFit, match="do not fit the device in fp32"):
        load(tiny_qwen_dir, precision="fp32")


def test_a_card_that_cannot_do_int4_is_told_as_that(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(four_bits, "on_a_card", lambda: True)
    monkeypatch.setattr("qwen_app.models.quantised.load.problem_on", lambda card: "are wrong")
    with pytest.raises(DoesNotFit, match="4-bit products are wrong on this card"):
        load(tiny_qwen_dir, precision="int4")


def test_name_and_revision_come_from_the_manifest_or_the_folder(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    assert load(tiny_qwen_dir, precision="fp32").name == tiny_qwen_dir.name
    folder = tmp_path / "any"
    shutil.copytree(tiny_qwen_dir, folder)
    write_manifest(folder, "owner/tiny", "abc")
    loaded = load(folder, precision="fp32")
    assert (loaded.name, loaded.revision) == ("owner/tiny", "abc")


def test_a_gguf_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"There is no file .*none\.gguf"):
        load(tmp_path / "none.gguf", precision="fp32")


def test_a_gguf_file_is_unpacked_and_so_never_4bit(tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFilesError, match="Use --precision fp16"):
        load(tmp_path / "some.gguf", precision="4bit")


def test_a_damaged_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelFilesError, match="cannot be loaded"):
        load(tmp_path / "some.gguf", precision="fp32")


@pytest.mark.parametrize("kind", ["LlamaTokenizer", "GemmaTokenizer", "GPT2Tokenizer"])  # tell no letters, or unknown
def test_a_tokenizer_without_a_vocabulary_is_missing(tiny_mistral_dir: Path, tmp_path: Path, kind: str) -> None:
    folder = Path(shutil.copytree(tiny_mistral_dir, tmp_path / "model"))
    for file, name, value in [("config", "model_type", "llama"), ("tokenizer_config", "tokenizer_class", kind)]:
        path = folder / f"{file}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert load(folder, precision="fp32").tokenizer.encode("hello")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFilesError, match=r"lack the tokenizer's vocabulary \(tokenizer.json\)"):
        load(folder, precision="fp32")


def test_a_reason_is_told_with_what_it_announces(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    with pytest.raises(ModelFilesError, match=r"cannot be loaded: [^\n]+: [^\n]*num_hidden_layers"):
        load(folder, precision="fp32")


def test_an_architecture_transformers_does_not_know(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(tiny_qwen_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no_such_model"}))
    with pytest.raises(ModelFilesError, match="cannot be loaded"):
        load(folder, precision="fp32")


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("config.json", {"attention_dropout": []}),
        ("config.json", {"dtype": "x"}),
        ("config.json", {"num_attention_heads": 2**70}),
        ("tokenizer_config.json", {"tokenizer_class": 0}),
        ("tokenizer_config.json", {"eos_token": -1}),
        ("generation_config.json", {"pad_token_id": "x"}),
        ("tokenizer.json", {"version": None}),
        ("tokenizer.json", {"model": None}),
        ("tokenizer.json", {"added_tokens": [[]]}),
    ],
)
def test_a_file_of_the_wrong_shape_is_named_whatever_its_reader_raises(
    tiny_qwen_dir: Path, tmp_path: Path, file: str, changed: dict[str, object]
) -> None:
    folder = Path(shutil.copytree(tiny_qwen_dir, tmp_path / "odd"))
    found = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps(found | changed), encoding="utf-8")
    with pytest.raises(ModelFilesError, match="odd cannot be loaded: "):
        load(folder, precision="fp32")
