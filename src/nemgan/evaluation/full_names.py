"""The full names of a record's figures: which ACC, by whose features, of how many samples."""

from __future__ import annotations

from nemgan.evaluation.judge import Judge
from nemgan.evaluation.result import GENERATED
from nemgan.models.base import Model

N_AMBIGUOUS = 12
DOUBT = 0.5
"""Margin between the two likeliest clusters below which a sample is doubtful."""
MOST_SEPARATED = 2000
"""Training samples whose neighbour graph is cut, at most."""
PER_MODE = 500
"""Samples of each mode that are compared with real ones, at most."""


def full_names(n: int, n_test: int, n_generated: int, judge: Judge | None, model: Model) -> dict[str, str]:
    """What each figure is, in full, with the number of samples behind it."""
    again = f", drawn again up to {model.redraws} times where astray" if model.redraws else ""
    where = f"natural test split, n={n}"
    size = "" if judge is None or judge.accuracy is None else f" (test accuracy {judge.accuracy:.4f})"
    by_judge = f"by an independent classifier trained on the real labels{size}, n={n_generated}{again}"
    exact = ", each mode weighted to its mass" if model.has_modes else ""
    names = {
        "acc": f"Hungarian accuracy, {where}",
        "nmi": f"normalised mutual information (arithmetic mean), {where}",
        "ari": f"adjusted Rand index, {where}",
        "purity": f"purity: share in the commonest class of their cluster, {where}",
        "macro_recall": f"mean recall over classes of the Hungarian-matched labelling, {where}",
        "mode_purity": f"share of generated samples in the class matched to their mode, judged {by_judge}",
        "mode_purities": f"mode purity of each mode, judged {by_judge}",
        "generated_masses": f"masses of the classes of samples generated from the prior, judged {by_judge}{exact}",
        "true_masses": "masses of the classes in the training split's labels (test split's where it has none)",
        "learned_prior": "masses of the model's clusters, by matched class where there are labels",
        "cluster_masses": "masses of the model's clusters, by cluster",
        "found_masses": f"share of test samples put in each cluster, n={n_test}",
        "prior_l1": "L1 distance (sum of absolute differences) of learned prior and true masses",
        "generated_vs_found_l1": f"L1 distance of the clusters the model finds in its own samples (n={n_generated}"
        f"{again}{exact}) and in the test split (n={n_test})",
        "generated_found": f"share of generated samples (n={n_generated}{again}{exact}) that the model itself puts "
        "in each cluster",
        "mode_returns": f"share of a mode's samples (of n={n_generated}, each drawn once) that the model puts in its "
        "cluster",
        "separation": "normalised cuts of the neighbour graph of training samples in the model's features, between "
        f"clusters (joined) and through each (split), n={MOST_SEPARATED} at most (no labels)",
        "doubtful": f"share of test samples whose two likeliest clusters differ by less than {DOUBT}, n={n_test}",
        "ambiguous": f"the {N_AMBIGUOUS} test samples with the smallest margin, n={n_test}",
        "mode_diversity": "mean pairwise distance of generated samples of a mode, divided by that of as many real test "
        f"samples of the found cluster (up to {PER_MODE}), in the judge's features",
        "fidelity": "Fréchet distance (fd; fd_real: of training samples), KID, precision, recall, density, coverage "
        "and mean Fréchet distance within clusters (icfd), of generated and test samples, by extractor",
        "modes": "modes of the data that generated samples cover, KL(generated ‖ true) in nats, share within 3 sigma",
        "judge_accuracy": f"accuracy of the independent classifier, {where}",
        "agreement": "share of training samples that two merges of different partitions put alike, mean (no labels)",
        "counts": "by number of clusters: normalised cut of the closest pair, and of the best split; of up to three "
        "partitions the best answer for the number asked for, the worst for others (no labels)",
        "confidence": "share of the clustering's entropy on which neighbouring training samples agree (no labels)",
        "seconds": "seconds of training",
        "steps": "steps of training, all stages",
        "seconds_to_acc_95": "seconds, start-up included, until held-out Hungarian accuracy first reached .95",
        "labels_used": "training labels disclosed to the model",
    }
    left_out = () if n_generated else (*GENERATED, "judge_accuracy")
    return {key: name for key, name in names.items() if key not in left_out}
