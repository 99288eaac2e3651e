#!/bin/bash

#PBS -l nodes=1:ppn=4:gpus=1
#PBS -l walltime=02:00:00
#PBS -q long
#PBS -A na-conductors
#PBS -N haloflow
#PBS -o FW_job.out
#PBS -e FW_job.error
#PBS -l pmem=4000mb

module load gcc/13
module load cuda/12
export PATH="/opt/haloflow/bin:$PATH"
export HALOFLOW_FILES_DIR="/shared/haloflow-files"
export HALOFLOW_THREADS_PER_WORKER=4
export HALOFLOW_DEVICE=cuda
export OMP_NUM_THREADS=4
export HALOFLOW_WALLTIME_S=7080
export FW_CONFIG_FILE=CONFIGURATION/FW_config.yaml
export JOBFLOW_CONFIG_FILE=CONFIGURATION/jobflow.yaml

cd /scratch/haloflow/launcher
exec /opt/haloflow/bin/rlaunch -c CONFIGURATION singleshot

# CommonAdapter (PBS) completed writing Template
