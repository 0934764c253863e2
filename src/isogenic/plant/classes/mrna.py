"""Three skids for messenger RNA: a transcription reactor, a purification skid, a mixing skid for lipid nanoparticles.

Their work is done by services (VDI/VDE/NAMUR 2658-4), started one after the other by the recipe. The nucleotides, the
RNA and the pyrophosphate of a reaction are measured at line, the particles by light scattering in line; the ranges are
illustrative, of no particular make.
"""

from __future__ import annotations

from isogenic.plant.classes.signals import equipment_class, measured, parameter, service, set_point

__all__ = ["MIXING_SKID", "PURIFICATION_SKID", "TRANSCRIPTION_REACTOR"]

_MINUTES = parameter("minutes", "min", "Duration", 0.0, 1_440.0)

TRANSCRIPTION_REACTOR = equipment_class(
    "transcription_reactor",
    "Reactor for in-vitro transcription",
    (
        measured("temperature", "degC", "Temperature", 0.0, 80.0),
        measured("ph", "pH", "pH", 2.0, 12.0),
        measured("reaction_volume", "mL", "Volume", -1.0, 100_000.0),
        measured("rna", "g/L", "RNA", -0.5, 50.0, monitored=True),
        *(measured(name, "mM", f"{name.upper()} left", -1.0, 50.0, monitored=True) for name in ("atp", "utp", "ctp", "gtp")),
        measured("pyrophosphate", "mM", "Pyrophosphate in solution", -1.0, 200.0, monitored=True),
        measured("magnesium", "mM", "Magnesium in solution", -1.0, 300.0, monitored=True),
        measured("precipitate", "mM", "Magnesium pyrophosphate as a solid, by turbidity", -1.0, 200.0, monitored=True),
        measured("integrity", "%", "RNA of full length", -1.0, 105.0, monitored=True),
        set_point("temperature_sp", "degC", "Temperature set-point", 60.0),
    ),
    capabilities={"temperature": "degC", "working_volume": "L"},
    services=(
        service(
            "charge",
            "Charge the mixture",
            parameter("nucleotides", "mM", "Each of the four nucleotides", 0.2, 20.0),
            parameter("magnesium_acetate", "mM", "Magnesium acetate", 1.0, 120.0),
            parameter("template", "nM", "Linear DNA", 0.5, 500.0),
            parameter("polymerase", "nM", "T7 RNA polymerase", 1.0, 2_000.0),
            parameter("pyrophosphatase", "IU/mL", "Inorganic pyrophosphatase", 0.0, 20.0),
            parameter("cap_to_gtp", "1", "Cap for each GTP", 0.0, 4.0),
            parameter("volume", "mL", "Volume", 1.0, 50_000.0),
        ),
        service("transcribe", "Transcribe", _MINUTES),
        service("digest", "Digest the template", _MINUTES),
    ),
)

PURIFICATION_SKID = equipment_class(
    "purification_skid",
    "Skid for capture and diafiltration",
    (
        measured("column_pressure", "bar", "Pressure before the column", -0.5, 20.0),
        measured("pool_volume", "mL", "Volume of the pool", -1.0, 100_000.0),
        measured("pool_rna", "g/L", "RNA in the pool", -0.5, 50.0),
        measured("pool_integrity", "%", "RNA of full length in the pool", -1.0, 105.0),
        measured("recovery", "%", "RNA kept so far", -1.0, 105.0),
        measured("residual_nucleotides", "%", "Nucleotides left of those before the washing", -1.0, 105.0),
    ),
    capabilities={"working_volume": "L"},
    services=(
        service("capture", "Capture on oligo-dT", _MINUTES),
        service("diafilter", "Diafilter", parameter("volumes", "1", "Diafiltration volumes", 1.0, 20.0), _MINUTES, procedures=("constant_volume",)),
    ),
)

MIXING_SKID = equipment_class(
    "mixing_skid",
    "Mixing skid for lipid nanoparticles",
    (
        measured("mixing_flow", "mL/min", "Flow of both streams", -1.0, 500.0, monitored=True),
        measured("flow_ratio", "1", "Aqueous to ethanol", -0.5, 20.0, monitored=True),
        measured("mixing_pressure", "bar", "Pressure before the mixer", -0.5, 50.0, monitored=True),
        measured("mixing_ph", "pH", "pH of the aqueous stream", 2.0, 12.0, monitored=True),
        measured("particle_size", "nm", "Diameter of the particles", -1.0, 1_000.0, monitored=True),
        measured("polydispersity", "1", "Polydispersity", -0.1, 1.0, monitored=True),
        measured("encapsulation", "%", "RNA inside the particles", -1.0, 105.0),
        measured("product_volume", "mL", "Volume collected", -1.0, 1e6),
        measured("rna_to_mix", "mg", "RNA that waits to be mixed", -1.0, 1e6),
    ),
    capabilities={"mixing_flow": "mL/min", "working_volume": "L"},
    services=(
        service(
            "mix",
            "Mix with lipids",
            parameter("flow", "mL/min", "Flow of both streams", 5.0, 200.0),
            parameter("ratio", "1", "Aqueous to ethanol", 0.5, 9.0),
            parameter("buffer_ph", "pH", "pH of the aqueous stream", 3.0, 6.5),
            parameter("n_to_p", "1", "Ionisable nitrogen for each phosphate", 2.0, 12.0),
            parameter("lipid", "mM", "Lipids in ethanol", 2.0, 60.0),
            procedures=("t_mixing",),
        ),
        service("dilute", "Dilute the ethanol", parameter("fold", "1", "How many times", 1.0, 20.0), _MINUTES),
    ),
)
