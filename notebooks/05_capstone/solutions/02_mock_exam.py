"""The exercises of *Mock exam*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% mock_exam/then_and_now
### BEGIN SOLUTION
then_and_now = {
    "inference cluster": "attached Kubernetes cluster",
    "NCv2": "NCasT4_v3",
    "Webservice.scoring_uri": "online_endpoints.get(name).scoring_uri",
    "published pipeline": "pipeline component deployment",
    "AmlComputeJobEvents": "AmlComputeJobEvent",
}
### END SOLUTION
helpers.check("mock_exam/then_and_now", then_and_now)


# %% mock_exam/read_first
### BEGIN SOLUTION
def read_first(scores):
    def share(score):
        return score.right / (score.right + score.wrong + score.open)

    return min(scores, key=share).domain.title


### END SOLUTION
helpers.check("mock_exam/read_first", read_first)

# %% mock_exam/own_question
### BEGIN SOLUTION
own_question = {
    "question": "A deployment has succeeded; each request gets 424. Where is the traceback?",
    "choices": [
        {"text": "in the answer's body", "why": "It only says that the script failed."},
        {"text": "in the activity log", "why": "It has what was done to resources."},
        {
            "text": "in get_logs",
            "right": True,
            "why": "run() writes into the container's log.",
        },
        {"text": "in the traffic log", "why": "It has a row, with the status only."},
    ],
    "lesson": "deployment_clinic",
    "section": "Cleo: `Succeeded`, and 424",
}
### END SOLUTION
helpers.check("mock_exam/own_question", own_question)
