"""A script in the first of the two shapes: one placeholder for the whole example, examples for all languages together,
and prompts about texts that are filled twice. It says what it would ask; it asks nobody."""

import json
import os

BASE_CONFIG = {"data_root_directory": "./data/", "dataset_name": "ImagesTextEn1K"}
BASE_CONFIG["data_input_directory"] = os.path.join(BASE_CONFIG["data_root_directory"], BASE_CONFIG["dataset_name"])  # noqa: PTH118

CLOSING = "Say why,\nstep by step.\n"
PLACES = "کن مقامات کا ذکر ہے؟"

EXAMPLES = {
    1: {
        "question": "What is there?",
        "example_response": '**Things**\n\n- a red cup\n- a "spoon" (C:\\table\\new)\x20\x20\n',
    },
    2: {"question": "Where is that?", "example_response": "A kitchen, in the morning; " + "the light is {soft}."},
    3: {"question": "How do they belong together?", "example_response": """The spoon lies "in" the cup\t."""},
    4: {"question": "Which regions?", "example_response": "1. table\r\n2. wall"},
    5: {"question": "What would you tell?", "example_response": "A cup's on the table. ✓ 🥄"},
    6: {
        "question": "What of the text is seen?",
        "example_response": """It says "a cup":
  the image shows one.""",
    },
    7: {"question": "What is not?", "example_response": "The journey, {{for example}}; nobody travels."},
    8: {"question": "Which places?", "example_response": "Text: Kyoto. Image: none."},
}

LANGUAGE_CONFIGS = {
    "English": {
        "code": "En",
        "system_prompt": "You look at pictures.",
        "prompt_template_image_only": """
Here is how it is done:
{one_shot_example}

Now do this: {task_description}

Answer as {{"answer": …}}.
"""
        + CLOSING,
        "prompt_template_image_text": """
Here is how it is done:
{one_shot_example}

The text:
{text_content}

Now do this, and answer as {{{{"answer": …}}}} {task_description}
"""
        + CLOSING,
        "tasks": {
            1: "List what you see (e.g. {cups}).",
            2: "Describe the scene.",
            3: "Say how things belong together.",
            4: "Divide the image.",
            5: "Tell it to somebody who cannot see it.",
            6: "Which parts of the text are in the image?",
            7: "Which are not?",
            8: "Which places are named?",
        },
    },
    "Japanese": {
        "code": "Jp",
        "system_prompt": "あなたは画像を見て日本語で答えます。",
        "prompt_template_image_only": "\n例:\n{one_shot_example}\n\nタスク:\u3000{task_description}\n\n理由も「順に」述べてください。\n",
        "prompt_template_image_text": "\n例:\n{one_shot_example}\n\n本文:\n{text_content}\n\nタスク:\u3000{task_description}\n",
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
    },
    "Swahili": {
        "code": "Sw",
        "system_prompt": "Unatazama picha na kujibu kwa Kiswahili.",
        "prompt_template_image_only": "Mfano:\n{one_shot_example}\n\nKazi: {task_description}\n\nEleza sababu zako.",
        "prompt_template_image_text": "Mfano:\n{one_shot_example}\n\nMaandishi:\n{text_content}\n\nKazi: {task_description}",
        "tasks": {
            1: "Taja unachoona.",
            2: "Eleza mandhari.",
            3: "Eleza uhusiano wa vitu.",
            4: "Gawanya picha.",
            5: "Msimulie asiyeona.",
            6: "Ni sehemu gani za maandishi zimo kwenye picha?",
            7: "Ni zipi hazimo?",
            8: "Ni mahali gani pametajwa?",
        },
    },
    "Urdu": {
        "code": "Ur",
        "system_prompt": "آپ تصویر دیکھ کر اردو میں جواب دیتے ہیں۔",
        "prompt_template_image_only": "\nمثال:\n{one_shot_example}\n\nکام:\n{task_description}\n\nوجہ بھی بتائیں۔\n",
        "prompt_template_image_text": "\nمثال:\n{one_shot_example}\n\nمتن:\n{text_content}\n\nکام:\n{task_description}\n",
        "tasks": {
            1: "جو دکھائی دے اس کی فہرست بنائیں۔",
            2: "منظر بیان کریں۔",
            3: "چیزوں کا باہمی تعلق بتائیں۔",
            4: "تصویر کو حصوں میں بانٹیں۔",
            5: "کسی نابینا کو سنائیں۔",
            6: "متن کا کون سا حصہ تصویر میں ہے؟",
            7: "کون سا نہیں ہے؟",
            8: "متن یا تصویر میں " + PLACES,
        },
    },
}


def save(language: str, task_results: dict) -> str:
    """What the public scripts do beside their prompts: the code names files, and answers are kept in a dictionary."""
    lang_config = LANGUAGE_CONFIGS.get(language)
    task_results["folder"] = os.path.join("data", lang_config["code"])  # noqa: PTH118
    task_description = lang_config["tasks"][1]
    print(f"{language}, {len(LANGUAGE_CONFIGS)} languages: {task_description[:50]}...")
    return os.path.join("outputs", f"results_{LANGUAGE_CONFIGS[language]['code']}.json")  # noqa: PTH118


def prepare_of_image(images: list[str], lang_config: dict, task_prompt: str, model_api_name: str) -> list[str]:
    batch_lines = []
    for image in images:
        batch_entry = {
            "model": model_api_name,
            "messages": [
                {"role": "system", "content": lang_config["system_prompt"]},
                {"role": "user", "content": [{"type": "text", "text": task_prompt}, {"image_url": image}]},
            ],
        }
        batch_lines.append(json.dumps(batch_entry))
    return batch_lines


def prepare_of_pair(pairs: list[str], lang_config: dict, task_prompt_template: str, model_api_name: str) -> list[str]:
    batch_lines = []
    for text in pairs:
        formatted_task_prompt = task_prompt_template.format(text_content=text)
        batch_entry = {
            "model": model_api_name,
            "messages": [
                {"role": "system", "content": lang_config["system_prompt"]},
                {"role": "user", "content": [{"type": "text", "text": formatted_task_prompt}]},
            ],
        }
        batch_lines.append(json.dumps(batch_entry))
    return batch_lines


def ask(language: str, task: int, text: str) -> str:
    """The line of a batch, as the script would send it."""
    if language not in LANGUAGE_CONFIGS:
        raise ValueError(f"{language} is not among {LANGUAGE_CONFIGS.keys()}")
    lang_config = LANGUAGE_CONFIGS[language]
    task_description = lang_config["tasks"].get(task)
    if not task_description:
        raise ValueError(f"Task {task} of {language} is not there.")
    model_api_name = "a-model"
    if task >= 6:
        prompt_template = lang_config["prompt_template_image_text"]
        task_prompt_preformatted = prompt_template.format(
            task_description=task_description,
            text_content="{text_content}",
            one_shot_example=EXAMPLES[task]["example_response"],
        )
        prepare_func = prepare_of_pair
        args_for_prepare = (lang_config, task_prompt_preformatted, model_api_name)
    else:
        prompt_template = lang_config["prompt_template_image_only"]
        task_prompt = prompt_template.format(
            task_description=task_description, one_shot_example=EXAMPLES[task]["example_response"]
        )
        prepare_func = prepare_of_image
        args_for_prepare = (lang_config, task_prompt, model_api_name)
    return prepare_func([text], *args_for_prepare)[0]
