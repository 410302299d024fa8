"""A script in the second of the two shapes: the example's question and response have a placeholder each, every language
names its examples, and each prompt is filled once. It says what it would ask; it asks nobody."""

import json

FIRST_TASK = "List what you see."
ENGLISH_TASKS = {
    1: FIRST_TASK,
    2: "Describe the scene.",
    3: "Say how things belong together.",
    4: "Divide the image.",
    5: "Tell it to somebody who cannot see it.",
    6: "Which parts of the text are in the image?",
    7: "Which are not?",
    8: "Which places are named?",
}
EXAMPLES = {
    1: {
        "question": "List what you see.",
        "example_response": 'A boat, two {{oars}} and a "net".',
    },
    2: {
        "question": "Describe the scene.",
        "example_response": "A harbour\nin the evening.",
    },
    3: {
        "question": "Say how things belong together.",
        "example_response": "The net is in the boat.",
    },
    4: {
        "question": "Divide the image.",
        "example_response": "Sky, water, quay.",
    },
    5: {
        "question": "Tell it to somebody who cannot see it.",
        "example_response": "It is quiet; a boat rests.",
    },
    6: {
        "question": "Which parts of the text are in the image?",
        "example_response": "The boat {text_content} is.",
    },
    7: {
        "question": "Which are not?",
        "example_response": "The market is not: {article}.",
    },
    8: {
        "question": "Which places are named?",
        "example_response": "Zanzibar.",
    },
}
LANGUAGE_CONFIGS = {
    "English": {
        "code": "En",
        "system_prompt": "You answer in English.\n",
        "prompt_template_image_only": """An example's question: {example_question}
Its answer:
{example_response}

Now do the same with this image, as {{{task_description}}}.""",
        "prompt_template_image_text": """An example's question: {example_question}
Its answer:
{example_response}

The text, between two lines of {{task}}:
{text_content}

{task_description}""",
        "tasks": ENGLISH_TASKS,
        "examples": EXAMPLES,
    },
    "Japanese": {
        "code": "Jp",
        "system_prompt": "あなたは日本語で答えます。",
        "prompt_template_image_only": "例の質問: {example_question}\n例の答え:\n{example_response}\n\nタスク:\n{task_description}",
        "prompt_template_image_text": "例の質問: {example_question}\n例の答え:\n{example_response}\n\n本文:\n{text_content}\n\nタスク:\n{task_description}",
        "tasks": {
            1: "見えるものを挙げてください。",
            2: "場面を述べてください。",
            3: "ものの関係を述べてください。",
            4: "画像を領域に分けてください。",
            5: "見えない人に話してください。",
            6: "本文のどこが画像にありますか。",
            7: "どこがありませんか。",
            8: "どの場所が出てきますか。",
        },
        "examples": EXAMPLES,
    },
    "Swahili": {
        "code": "Sw",
        "system_prompt": "Unajibu kwa Kiswahili.",
        "prompt_template_image_only": "Swali la mfano: {example_question}\nJibu:\n{example_response}\n\nSasa: {task_description}",
        "prompt_template_image_text": "Swali la mfano: {example_question}\nJibu:\n{example_response}\n\nMaandishi:\n{text_content}\n\nSasa: {task_description}",
        "tasks": {
            1: "Taja unachoona.",
            2: "Eleza mandhari.",
            3: "Eleza uhusiano wa vitu.",
            4: "Gawanya picha.",
            5: "Msimulie asiyeona.",
            6: "Ni sehemu gani zimo kwenye picha?",
            7: "Ni zipi hazimo?",
            8: "Ni mahali gani pametajwa?",
        },
        "examples": EXAMPLES,
    },
    "Urdu": {
        "code": "Ur",
        "system_prompt": "آپ اردو میں جواب دیتے ہیں۔",
        "prompt_template_image_only": "مثال کا سوال: {example_question}\nجواب:\n{example_response}\n\nکام:\n{task_description}",
        "prompt_template_image_text": "مثال کا سوال: {example_question}\nجواب:\n{example_response}\n\nمتن:\n{text_content}\n\nکام:\n{task_description}",
        "tasks": {
            1: "فہرست بنائیں۔",
            2: "منظر بیان کریں۔",
            3: "باہمی تعلق بتائیں۔",
            4: "حصوں میں بانٹیں۔",
            5: "کسی نابینا کو سنائیں۔",
            6: "متن کا کون سا حصہ تصویر میں ہے؟",
            7: "کون سا نہیں؟",
            8: "کون سے مقامات؟",
        },
        "examples": EXAMPLES,
    },
}


def read_text_file(text_path: str) -> str:
    return text_path.strip("\0")


def ask(language: str, task: int, text: str) -> str:
    """The request, as the script would send it."""
    config = LANGUAGE_CONFIGS[language]
    task_description = config["tasks"][task]
    one_shot_example_q = config["examples"][task]["question"]
    one_shot_example_r = config["examples"][task]["example_response"]
    prompt_parts = []
    if task >= 6:
        text_content = read_text_file(text)
        full_prompt_text = config["prompt_template_image_text"].format(
            example_question=one_shot_example_q,
            example_response=one_shot_example_r,
            text_content=text_content,
            task_description=task_description,
        )
        prompt_parts = [full_prompt_text, {"mime_type": "image/png"}]
    else:
        full_prompt_text = config["prompt_template_image_only"].format(
            example_question=one_shot_example_q,
            example_response=one_shot_example_r,
            task_description=task_description,
        )
        prompt_parts = [full_prompt_text, {"mime_type": "image/png"}]
    return json.dumps({"system_instruction": config["system_prompt"], "contents": prompt_parts})
