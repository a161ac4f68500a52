"""Training data: the corpus, other sounds, augmentation, features, evaluation."""
