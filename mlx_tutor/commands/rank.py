"""The program that mlx.launch starts on each host of `train --hosts`; not a command to type."""

import json
import sys

if __name__ == "__main__":
    from mlx_tutor.dataset.contexts import read_training_rows
    from mlx_tutor.training.rank import run_rank

    run_rank(json.loads(sys.argv[1]), read_training_rows)
