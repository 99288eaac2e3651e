#!/bin/bash -l

#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=1
#SBATCH --time=02:00:00
#SBATCH --partition=long
#SBATCH --account=na-conductors
#SBATCH --job-name=haloflow
#SBATCH --output=haloflow-%j.out
#SBATCH --error=haloflow-%j.error
#SBATCH --mem=16000M


module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4
export FW_CONFIG_FILE=CONFIGURATION/FW_config.yaml
export JOBFLOW_CONFIG_FILE=CONFIGURATION/jobflow.yaml

cd /scratch/haloflow/launcher
exec /opt/haloflow/bin/rlaunch -c CONFIGURATION singleshot

# CommonAdapter (SLURM) completed writing Template
