"""The exercises of *Classify images*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% classify_images/harmless
### BEGIN SOLUTION
harmless = {"b", "e", "f"}
### END SOLUTION
helpers.check("classify_images/harmless", harmless)

# %% classify_images/as_data_uri
### BEGIN SOLUTION
import mimetypes


def as_data_uri(file):
    kind, _ = mimetypes.guess_type(file)
    content = base64.b64encode(Path(file).read_bytes()).decode()
    return f"data:{kind};base64,{content}"


### END SOLUTION
helpers.check("classify_images/as_data_uri", as_data_uri)


# %% classify_images/for_a_clerk
### BEGIN SOLUTION
def for_a_clerk(rows, least):
    def certainty(row):
        return max(value for name, value in row.items() if name.startswith("Scored Prob"))

    return [row["id"] for row in rows if certainty(row) < least]


### END SOLUTION
helpers.check("classify_images/for_a_clerk", for_a_clerk)
