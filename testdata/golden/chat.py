"""What transformers renders of chat templates.

    python testdata/golden/chat.py

chat/cases.json: {"transformers": version, "now": ISO time, "templates": {name: text}, "cases": [case, ...]}, where a case has

    template   name
    vars       messages, tools, add_generation_prompt, bos_token, ... as they are given
    text       what is rendered, or
    refused    what raise_exception says, or
    wrong      true: rendering fails

The templates are written for this test, in the manner of those of well-known models: their whitespace control, loops,
namespaces, macros, tools, dates and generation tags.
"""

import datetime
import json
import os

import jinja2
import transformers
from transformers.utils import chat_template_utils as utils

from reference import folder

NOW = datetime.datetime(2024, 7, 5, 9, 8, 7)

TEMPLATES = {
    "chatml": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "inst": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "headers": """{%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "26 Jul 2024" %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none and tools is defined %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools %}
    {{- "You have these functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("Only one call at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or (message.content is iterable and message.content is not string) %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "thinking": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "turns": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
""",
    "lines": """{% for message in messages %}
    {% if message.role == 'user' %}
<|user|>
{{ message.content }}{{ eos_token }}
    {% elif message.role == 'assistant' %}
<|assistant|>
        {% generation %}
{{ message.content }}{{ eos_token }}
        {% endgeneration %}
    {% else %}
        {# other roles are left out #}
        {% continue %}
    {% endif %}
    {% if loop.index > 5 %}{% break %}{% endif %}
{% endfor %}
{% if add_generation_prompt %}
<|assistant|>
{% endif %}
""",
    "macros": """{%- macro kind(spec, optional=false) -%}
    {%- if spec.type == 'array' -%}
        {{- kind(spec['items']) ~ '[]' -}}
    {%- elif spec.type is string -%}
        {{- {'string': 'str', 'integer': 'int', 'number': 'float', 'boolean': 'bool'}.get(spec.type, 'Any') -}}
    {%- elif spec.type is iterable -%}
        {%- set found = [] -%}
        {{- spec.type | map('upper') | join(' | ') -}}
    {%- endif -%}
    {%- if optional %} = None{% endif -%}
{%- endmacro -%}
{%- for tool in tools or [] %}
{%- set f = tool.function if tool.function is defined else tool %}
def {{ f.name }}({% for name, spec in f.parameters.properties.items() %}{{ name }}: {{ kind(spec, name not in f.parameters.required) }}{% if not loop.last %}, {% endif %}{% endfor %}):
    {{ f.description | default('no description', true) | indent(4) }}
{%- for name, spec in f.parameters.properties | dictsort %}
    {{ loop.index }}. {{ name | capitalize }} -- {{ (spec.description or '?') | replace('"', "'") }}
{%- endfor %}
{% else %}
no tools
{% endfor %}
{%- filter upper %}
{{- messages | map(attribute='role') | unique | sort | join(',') }}
{%- endfilter %}
{% set n = messages | selectattr('role', 'equalto', 'user') | list | length %}
{% set last = (messages | rejectattr('role', 'in', ['system', 'tool']) | list)[-1] %}
users={{ n }} half={{ n / 2 }} floor={{ n // 2 }} mod={{ -7 % 3 }} pow={{ 2 ** 10 }} last={{ last.content | string | length }}
{{ messages[0] }} {{ [1, 2.5, none, true, "it's", 'a"b'] }} {{ (1,) }} {{ 'x' * 3 }} {{ 1e20 }} {{ 0.1 + 0.2 }} {{ 7 is odd and 4 is divisibleby 2 }}
{{ messages | tojson(indent=2) }}
{{ messages[0] | tojson(ensure_ascii=true, sort_keys=true, separators=(',', ':')) }}
{% raw %}{{ raw }} {% not a tag %}{% endraw %}

{{ 'A-B-C'.split('-', 1) }} {{ 'A-B-C'.rsplit('-', 1)[0] }} {{ ' a  b '.split() }} {{ 'héllo wörld'.title() }} {{ 'abc'[::-1] }} {{ [1,2,3,4][1:-1] }} {{ range(3) | list }} {{ 'ab' in 'cab' and 3 not in [1, 2] }} {{ 1 < 2 < 3 }} {{ not true or 'yes' }}
{%- set text %}  block {{ n }} {% endset %}
[{{ text }}]{{ missing }}{{ missing is defined }}{{ missing | default('none here') }} {{ 3.7 | int }} {{ '12' | int + 1 }} {{ 3.14159 | round(2) }} {{ [3, 1, 2] | sort(reverse=true) | first }} {{ [1, 2] + [3] }} {{ [3, 9, 4] | max }} {{ 'ok' if not missing }}
""",
    "date": """{{ strftime_now('%Y-%m-%d %H:%M:%S %B %d, %A %b %y %I %p %j %%') }}|{{- ' x ' -}}   |
  {%- if true +%}
kept
  {%+ endif %}
  end   
""",
    "refuses": """{{ raise_exception('Only ' ~ messages|length ~ " messages, and system is 'not' supported") }}""",
    "wrong": """{{ messages[0].nothing.deeper }}""",
    "changes": """{% set _ = messages.append(1) %}""",
}

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a \"city\" — now\nor later",
          "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "Which \"one\""},
                                                          "days": {"type": "array", "items": {"type": "integer"}},
                                                          "unit": {"type": ["string", "null"]}}, "required": ["city"]}}},
         {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}, "required": []}}}]
HELLO = [{"role": "user", "content": " Hello <there> & é 日本 😀 "}]
LONG = [{"role": "system", "content": "You are\n helpful. "}, {"role": "user", "content": "What's 1+1?"},
        {"role": "assistant", "content": "<think>\neasy\n</think>\n\nIt is 2."}, {"role": "user", "content": "And then?"}]
CALLS = [{"role": "user", "content": "Weather in Paris?"},
         {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": [1, 2], "x": 1.5, "ok": True, "no": None}}}]},
         {"role": "tool", "name": "get_weather", "content": "{\"temperature\": 21}"}]
PARTS = [{"role": "system", "content": [{"type": "text", "text": "Look."}]}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is it? "}]}]


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def main():
    utils.datetime = FixedTime
    cases = []
    for name, template in TEMPLATES.items():
        compiled = utils._compile_jinja_template(template)
        for messages, tools, more in [(HELLO, None, {}), (LONG, None, {}), (LONG, None, {"enable_thinking": False}), (CALLS, TOOLS, {}), (PARTS, None, {}), (LONG + CALLS, TOOLS, {})]:
            for prompt in [True, False]:
                given = dict(messages=messages, tools=tools, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>", **more)
                case = dict(template=name, vars=given)
                try:
                    case["text"] = compiled.render(**given)
                except jinja2.exceptions.TemplateError as e:
                    if "raise_exception" in template and type(e) is jinja2.exceptions.TemplateError:
                        case["refused"] = str(e)
                    else:
                        case["wrong"] = True
                except (TypeError, KeyError):
                    case["wrong"] = True
                if name in ("date", "refuses", "wrong", "changes") and len([c for c in cases if c["template"] == name]):
                    continue
                cases.append(case)
    with open(os.path.join(folder("chat"), "cases.json"), "w") as f:
        json.dump(dict(transformers=transformers.__version__, now=NOW.isoformat(), templates=TEMPLATES, cases=cases), f, ensure_ascii=False, indent=1)
        f.write("\n")
    print(len(cases), "cases", sum("text" in c for c in cases), "texts")


main()
