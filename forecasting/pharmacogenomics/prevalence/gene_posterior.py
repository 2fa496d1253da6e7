"""One gene's posterior over sites: means of lookup keys, and reproducible draws from it, group by group."""

import dataclasses
import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Floats, sum_by_index
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, sum_pairs
from forecasting.pharmacogenomics.prevalence.update import StrataPosterior

THREADS = 2


@dataclasses.dataclass(frozen=True, eq=False)
class GenePosterior:
    """One gene's posterior over the sites in `facility_ids` (sites without usable knowledge are absent).

    `state.site` numbers the sites in the order of `facility_ids`; `share_male` [S] is the share of males among the
    people whom each site serves, which matters for X-linked genes alone. A site's genotypes are those of its groups,
    each in Hardy-Weinberg proportions, mixed by ancestry share: over groups whose frequencies differ, homozygotes are
    more common than the site's pooled frequencies would say (Wahlund 1928, Hereditas 11:65-106).
    """

    model: GeneModel
    facility_ids: tuple[str, ...]
    state: StrataPosterior
    share_male: Floats

    @functools.cached_property
    def one_copy(self) -> Floats:
        """Share of the people of each site who have a single copy of the gene, [S]."""
        share = self.model.traits.share_with_one_copy
        return np.array([share(float(male)) for male in self.share_male])

    @functools.cached_property
    def class_weights(self) -> tuple[Floats, Floats]:
        """Dirichlet parameters in allele copies per stratum: outer [N, C + 1], whose last is the called-reference
        block; inner [N, C], zeros where there is no such block."""
        state = self.state
        outside = self.model.class_frequencies(np.where(state.inner, 0.0, state.mean))
        inside = self.model.class_frequencies(np.where(state.inner, state.mean, 0.0))
        block = inside.sum(axis=1, keepdims=True)
        outer = 2 * state.people[:, None] * np.concatenate([outside, block], axis=1)
        split = np.divide(inside, block, out=np.zeros_like(inside), where=block > 0)
        return outer, 2 * np.nan_to_num(state.inner_people)[:, None] * split

    @functools.cached_property
    def strata(self) -> list[slice]:
        """The strata of each site."""
        ends = np.searchsorted(self.state.site, np.arange(len(self.facility_ids) + 1))
        return [slice(int(low), int(high)) for low, high in zip(ends[:-1], ends[1:], strict=True)]

    def draw(self, draws: int, seed: int) -> Floats:
        """Lookup key frequencies, [S, draws, K]; a site's numbers depend on seed, site and gene alone."""
        model = self.model
        keys = np.empty((len(self.facility_ids), draws, len(model.keys)))
        acts_as = model.draw_functions(draws, seed) if model.has_uncertain else None

        def of_site(i: int) -> None:
            classes = _acting(self._class_draws(i, draws, seed), acts_as)
            shared = classes * self.state.share[self.strata[i], None]
            keys[i] = sum_pairs(shared.transpose(0, 2, 1) @ classes, model.pair_keys)
            if self.one_copy[i] > 0:
                keys[i] += self.one_copy[i] * (shared.sum(axis=1) @ model.one_keys - keys[i])

        # NumPy draws and multiplies outside Python's lock
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(of_site, range(len(self.facility_ids))))
        keys[np.broadcast_to(self.untested[:, None], keys.shape)] = np.nan
        return keys

    @functools.cached_property
    def untested(self) -> NDArray[np.bool_]:
        """Carrier keys of alleles that nothing is known of at a site, [S, K]: neither published nor tested there."""
        model = self.model
        has_frequency = self.sums(self.state.mean) > 0
        tested = [
            has_frequency[:, model.index_of(allele)] if allele else has_frequency.any(axis=1)
            for allele in self._allele_of_key
        ]
        return ~np.stack(tested, axis=1)

    @property
    def _allele_of_key(self) -> list[str]:
        return [self.model.test_of_key[key] for key in self.model.keys]

    def draw_groups(self, draws: int, seed: int) -> Floats:
        """The same per stratum, [N, draws, K]: lookup key frequencies among the people of each group of each site."""
        model = self.model
        keys = np.empty((len(self.state.site), draws, len(model.keys)))
        acts_as = model.draw_functions(draws, seed) if model.has_uncertain else None
        for i, rows in enumerate(self.strata):
            classes = _acting(self._class_draws(i, draws, seed), acts_as).transpose(1, 0, 2)
            keys[rows] = sum_pairs(classes[..., :, None] * classes[..., None, :], model.pair_keys)
            if self.one_copy[i] > 0:
                keys[rows] += self.one_copy[i] * (classes @ model.one_keys - keys[rows])
        return keys

    def _class_draws(self, site: int, draws: int, seed: int) -> Floats:
        """Class frequencies of each stratum of a site, [draws, n, C]."""
        outer, inner = (weights[self.strata[site]] for weights in self.class_weights)
        entropy = [seed, _stable_hash(self.facility_ids[site], self.model.gene)]
        generator = np.random.default_rng(np.random.SeedSequence(entropy))
        top = _dirichlet(generator, outer, draws)
        if not inner.any():
            return top[..., :-1]
        return top[..., :-1] + top[..., -1:] * _dirichlet(generator, inner, draws)

    def group_mean_keys(self) -> Floats:
        """Posterior mean of the lookup key frequencies in each stratum, [N, K], from exact second moments."""
        outer, inner = self.class_weights
        top, within = _second_moments(outer), _second_moments(inner)
        split = _mean(inner)
        cross = top[:, :-1, -1:] * split[:, None, :]
        pairs = top[:, :-1, :-1] + cross + cross.transpose(0, 2, 1) + top[:, -1:, -1:] * within
        keys, one_copy = sum_pairs(pairs, self.model.acting_pair_keys), self.one_copy[self.state.site, None]
        if not one_copy.any():
            return keys
        mean = _mean(outer)
        classes = mean[:, :-1] + mean[:, -1:] * split
        return keys + one_copy * (classes @ self.model.acting_one_keys - keys)

    def mean_keys(self) -> Floats:
        """Posterior mean of the lookup key frequencies among the people served, [S, K]."""
        return np.where(self.untested, np.nan, self.of_sites(self.group_mean_keys()))

    def of_sites(self, values: Floats) -> Floats:
        """Sum over the groups of each site by their shares: [N, ...] -> [S, ...]."""
        return self.sums(values * self.state.share.reshape(-1, *[1] * (values.ndim - 1)))

    def effective_people(self, people: Floats) -> Floats:
        """People that a site's estimate is worth, [S], where its groups are worth `people` [N]: independent groups, so
        `1 / people = sum of share^2 / people of the group`."""
        return 1 / self.sums(self.state.share**2 / people)

    def sums(self, values: Floats) -> Floats:
        """Plain sum over the strata of each site: [N, ...] -> [S, ...]."""
        return sum_by_index(self.state.site, values, len(self.facility_ids))


def _acting(classes: Floats, acts_as: Floats | None) -> Floats:
    """Class frequencies [draws, n, C] as the classes act in each draw."""
    return classes if acts_as is None else classes @ acts_as


def _mean(alpha: Floats) -> Floats:
    total = alpha.sum(axis=1, keepdims=True)
    return np.divide(alpha, total, out=np.zeros_like(alpha), where=total > 0)


def _second_moments(alpha: Floats) -> Floats:
    """E[p_i p_j] of Dirichlet rows: [N, C] -> [N, C, C]; zeros for a row of zeros."""
    total, mean = alpha.sum(axis=1)[:, None, None], _mean(alpha)
    diagonal = np.eye(alpha.shape[1]) * mean[:, :, None]
    return (total * mean[:, :, None] * mean[:, None, :] + diagonal) / (total + 1)


def _dirichlet(generator: np.random.Generator, alpha: Floats, draws: int) -> Floats:
    """Dirichlet draws [draws, n, C] where parameters may be zero; all zeros stay zeros."""
    gammas = generator.standard_gamma(alpha, size=(draws, *alpha.shape))
    total = gammas.sum(axis=-1, keepdims=True)
    if not (total > 0).all():
        gammas, total = np.where(total > 0, gammas, _mean(alpha)), np.where(total > 0, total, 1.0)
    return np.asarray(gammas / total)


def _stable_hash(facility: str, gene: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{facility}\x1f{gene}".encode(), digest_size=8).digest())
