"""Chat templates as Qwen's models have them (Apache-2.0), reduced to what a text conversation needs."""

from tests.model_factory import CHATML

TURN = "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
BEGIN = "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
QWEN2 = CHATML
QWEN25 = (
    "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. "
    "You are a helpful assistant.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}" + TURN + "{%- endfor %}" + BEGIN + "{%- endif %}"
)
# Thoughts of earlier turns are left out; where thinking is off, an empty thought stands in the prompt.
QWEN3 = (
    "{%- set ns = namespace(last=-1) %}{%- for m in messages %}{%- if m.role == 'user' %}"
    "{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}"
    "{%- for m in messages %}{%- if m.role != 'assistant' %}" + TURN + "{%- else %}"
    "{%- set content = m.content %}{%- set thoughts = '' %}"
    "{%- if m.reasoning_content is defined and m.reasoning_content is not none %}"
    "{%- set thoughts = m.reasoning_content %}{%- elif '</think>' in content %}"
    "{%- set thoughts = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{{- '<|im_start|>assistant\n' }}{%- if loop.index0 > ns.last and (loop.last or thoughts) %}"
    "{{- '<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}"
    "{%- else %}{{- content }}{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}" + BEGIN + ""
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)
# Instruct of July 2025: no thinking mode, no default system prompt.
QWEN3_2507 = "{%- for m in messages %}" + TURN + "{%- endfor %}" + BEGIN + "{%- endif %}"
# Thinking of July 2025: the prompt itself opens the thought.
QWEN3_THINKING = QWEN3.partition("{%- if enable_thinking")[0] + "{{- '<think>\n' }}{%- endif %}"
