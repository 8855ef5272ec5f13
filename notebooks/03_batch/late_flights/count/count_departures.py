"""A step that is a Python function: mldesigner makes a component of it."""

from pathlib import Path

from mldesigner import Input, Output, command_component

ENVIRONMENT = {
    "image": "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04",
    "conda_file": Path(__file__).parent / "conda.yml",
}


@command_component(
    name="count_departures",
    display_name="Count the departures",
    environment=ENVIRONMENT,
)
def count_departures(
    flights: Input(type="uri_folder", description="CSV files with flights."),
    departures: Output(type="uri_file", description="A row for each airport and hour."),
):
    """Count how many flights leave which airport in which hour."""
    import pandas as pd

    plan = pd.concat(pd.read_csv(file) for file in sorted(Path(flights).glob("*.csv")))
    counts = plan.groupby(["origin", "hour"]).size().reset_index(name="departures")
    counts.to_csv(departures, index=False)
    print(f"counted: {len(counts)} hours at {plan['origin'].nunique()} airports")
