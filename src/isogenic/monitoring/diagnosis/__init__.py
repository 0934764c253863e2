"""Diagnosis: what an alarm is of. A probe or the process, and which known fault it resembles.

aide = attendant(model, library=library)
aide, told = attend(aide, values)
told.troubles(), told.verdict(), told.resembles(), told.judges()
"""

from isogenic.monitoring.diagnosis.attending import Aide, Judges, Told, Verdict, attend, attendant, attended, signature_of
from isogenic.monitoring.diagnosis.classes import Library, Resemblance, learn

__all__ = ["Aide", "Judges", "Library", "Resemblance", "Told", "Verdict", "attend", "attendant", "attended", "learn", "signature_of"]
