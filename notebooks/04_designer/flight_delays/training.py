"""The training graph of the first lesson of this part, for those after it."""

from azure.ai.ml import dsl

import designer

components = designer.load_components()


def box(name, step):
    step.name = name
    return step.outputs


def imported(name, data):
    return box(f"import_{name}", components.import_data(data=data)).dataset


def joined(name, left, right, keys):
    step = components.join_data(
        dataset1=left,
        dataset2=right,
        join_key_columns_for_l=keys,
        join_key_columns_for_r=keys,
        join_type="Left Outer Join",
        keep_right_key_columns_in_joined_table=False,
    )
    return box(name, step).results_dataset


def selected(table, columns):
    step = components.select_columns_in_dataset(dataset=table, select_columns=columns)
    return box("select_columns", step).results_dataset


def cleaned(table):
    step = components.clean_missing_data(
        dataset=table,
        columns_to_be_cleaned="numeric,-late",
        cleaning_mode="Replace with median",
    )
    return box("clean_missing_data", step).cleaned_dataset


def marked(table):
    step = components.edit_metadata(
        dataset=table, column="carrier,origin,dest", categorical="Categorical"
    )
    categories = box("mark_categories", step).results_dataset
    step = components.edit_metadata(
        dataset=categories, column="tailnum", fields="Clear feature"
    )
    return box("mark_names", step).results_dataset


def normalized(table):
    step = components.normalize_data(
        dataset=table,
        columns_to_transform="numeric,-late",
        transformation_method="MinMax",
    )
    return box("normalize_data", step).transformed_dataset


def indicators(table):
    step = components.convert_to_indicator_values(
        dataset=table,
        categorical_columns_to_convert="carrier,origin,dest",
        overwrite_categorical_columns=True,
    )
    return box("indicator_values", step).results_dataset


def prepared(flights, weather, planes):
    hours = imported("weather", weather)
    aircraft = imported("planes", planes)
    table = joined("join_weather", imported("flights", flights), hours, "origin,time_hour")
    table = selected(table, "-time_hour,-dep_delay,-wind_gust")
    table = joined("join_planes", table, aircraft, "tailnum")
    return indicators(normalized(marked(cleaned(table))))


def split(table):
    step = components.split_data(
        dataset=table, fraction_of_rows_in_the_first_output_dataset=0.7, random_seed=7
    )
    return box("split_data", step)


def trained_and_scored(name, learner, rows):
    train = components.train_model(
        untrained_model=learner, dataset=rows.results_dataset1, label_column="late"
    )
    model = box(f"train_{name}", train).trained_model
    score = components.score_model(trained_model=model, dataset=rows.results_dataset2)
    return box(f"score_{name}", score).scored_dataset


@dsl.pipeline(display_name="flight delays")
def flight_delays(flights, weather, planes):
    rows = split(prepared(flights, weather, planes))
    linear = box("linear", components.two_class_logistic_regression()).untrained_model
    scored = trained_and_scored("linear", linear, rows)
    box("evaluate_model", components.evaluate_model(scored_dataset=scored))
