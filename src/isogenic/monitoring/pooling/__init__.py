"""The network learns as one: sites send sums, never readings, and the control site builds the models.

sums = site_sums(batches, agreement, site="LEEDS")            # at each site
total = pool(agreement, every_site)                           # one model of all
structure = at_site(agreement, seen_by(agreement, every_site, "LEEDS"), sums)     # what all share, at this site's level
"""

from isogenic.monitoring.pooling.agreement import Agreement, agree_on
from isogenic.monitoring.pooling.fit_of_sites import Fit, Misfit, fit_of_sites
from isogenic.monitoring.pooling.hierarchy import Network, at_site, left_out_at_level, seen_by, site_model
from isogenic.monitoring.pooling.limits import SiteLimits, critical_of_site, left_out_at_site, levels_of_site, limits_at, limits_of
from isogenic.monitoring.pooling.pooled import Pool, pool, pooled_model, site_left_out
from isogenic.monitoring.pooling.site_sums import SiteSums, site_sums

__all__ = [
    "Agreement",
    "Fit",
    "Misfit",
    "Network",
    "Pool",
    "SiteLimits",
    "SiteSums",
    "agree_on",
    "at_site",
    "critical_of_site",
    "fit_of_sites",
    "left_out_at_level",
    "left_out_at_site",
    "levels_of_site",
    "limits_at",
    "limits_of",
    "pool",
    "pooled_model",
    "seen_by",
    "site_left_out",
    "site_model",
    "site_sums",
]
