"""Where the catalogue and the dashboard are found."""

from pathlib import Path

from freeroute import resources

ROOT = Path(__file__).resolve().parent.parent


def test_a_checkout_serves_its_own_top_level_directories():
    assert resources.config_dir() == ROOT / "config"
    assert resources.dashboard_dir() == ROOT / "dashboard"


def test_what_a_wheel_carries_is_preferred(monkeypatch, tmp_path):
    shipped = tmp_path / "freeroute" / "_data" / "config"
    shipped.mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "freeroute")
    assert resources.config_dir() == shipped
    assert resources.dashboard_dir() == tmp_path / "dashboard"
