#!/bin/bash
#PBS -S /bin/bash
#PBS -l select=1:ncpus=4:ngpus=1:mem=16000mb
#PBS -l walltime=02:00:00
#PBS -q long
#PBS -A na-conductors
#PBS -N haloflow
#PBS -o FW_job.out
#PBS -e FW_job.error

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
