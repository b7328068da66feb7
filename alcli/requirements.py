"""Libraries that only some models, heads and URIs need, and the package to install for each."""

from __future__ import annotations

# The versions are those of the extras in pyproject.toml; a test holds the two together.
REQUIREMENTS = {
    "PIL": "pillow>=11",
    "faiss": "faiss-cpu>=1.10",
    "fsspec": "fsspec[http]>=2024.10",
    "gcsfs": "gcsfs>=2024.10",
    "h5py": "h5py>=3.11",
    "lance": "pylance>=14.0",
    "onnx": "onnx>=1.17",
    "onnxruntime": "onnxruntime>=1.20",
    "openpyxl": "openpyxl>=3.1",
    "ray": "ray>=2.49",
    "s3fs": "s3fs>=2024.10",
    "sentence_transformers": "sentence-transformers>=6.2",
    "timm": "timm>=1.0",
    "torch": "torch>=2.6,<3",
    "transformers": "transformers>=4.46",
    "umap": "umap-learn>=0.5.7",
}


def install_hint(module: str) -> str:
    """Return the command that installs the library of `module`, which is its import name: `PIL.Image` is of `PIL`.

    Raises KeyError for a library that REQUIREMENTS does not list.
    """
    return f"pip install '{REQUIREMENTS[module.partition('.')[0]]}'"
