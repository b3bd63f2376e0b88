"""A language model behind the wire format of OpenAI's endpoints: its network is run over whole prompts."""

import torch
from faulty_endpoint import Faulty

TOP = 20


def model_endpoint(model):
    """An endpoint of `faulty_endpoint` that a `LanguageModel` answers."""
    tokenizer, network = model.tokenizer, model.network

    def steps(row):
        with torch.no_grad():
            return torch.log_softmax(network(input_ids=torch.tensor([row])).logits[0].double(), dim=-1)

    def greedy(row, count):
        written, places = [], []
        while len(written) < count:
            last = steps([*row, *written])[-1]
            token = int(last.argmax())
            best = last.topk(TOP)
            places.append(
                {"token": tokenizer.decode([token]), "logprob": float(last[token]),
                 "top_logprobs": [{"token": tokenizer.decode([int(i)]), "logprob": float(v)}
                                  for v, i in zip(best.values, best.indices, strict=True)]}
            )  # fmt: skip
            if token == tokenizer.eos_token_id:
                break
            written.append(token)
        return tokenizer.decode(written), places

    def answer(body):
        if "messages" in body:
            row = tokenizer.apply_chat_template(
                body["messages"], add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
            text, places = greedy(row, body["max_tokens"])
            choice = {"message": {"role": "assistant", "content": text}}
            if body.get("logprobs"):
                choice["logprobs"] = {"content": places}
            return {"choices": [choice], "usage": {"total_tokens": len(row) + len(places)}}
        row = tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]
        if body.get("echo"):
            found = steps(row)
            tokens = [tokenizer.decode([token]) for token in row]
            offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
            values = [None, *(float(found[place - 1, row[place]]) for place in range(1, len(row)))]
            logprobs = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}
            return {"choices": [{"text": body["prompt"], "logprobs": logprobs}]}
        text, _ = greedy(row, body["max_tokens"])
        for stop in body.get("stop", ()):
            text = text.partition(stop)[0]
        return {"choices": [{"text": text}]}

    return Faulty(answer)
