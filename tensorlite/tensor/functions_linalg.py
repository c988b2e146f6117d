"""placeholder"""
from .compose import Exports
EXPORTS: Exports = {}
