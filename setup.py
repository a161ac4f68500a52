"""The list of packages, which setup.cfg can't find by itself: they have three roots."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages("runtime"), *find_packages("export"), "hearaudiomlp.checkpoints"],
)
