"""Entry points.

eventlet, oslo.log and oslo.service announce eventlet's retirement with a warning each. Whoever
starts a program can do nothing about it, so the terminal stays quiet.
"""

import warnings

warnings.filterwarnings("ignore", message=r"(?s).*[Ee]ventlet")
