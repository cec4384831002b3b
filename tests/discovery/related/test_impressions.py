"""Which save is of which show."""

from pathlib import Path

from dqh.discovery.related.action_log import UNKNOWN, read_action_log
from dqh.discovery.related.impressions import Impressions, impressions_of


def of(folder: Path, *lines: str) -> Impressions:
    (folder / "log.csv").write_text("user,item,action,time,query,position\n" + "\n".join(lines) + "\n")
    return impressions_of(read_action_log(folder / "log.csv"))


def test_a_save_is_of_the_last_show_before_it(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,5", "u,a,show,3,q,2", "u,a,save,4,q,", "u,a,show,5,q,1")
    assert shows.positions.tolist() == [5, 2, 1]
    assert shows.saved.tolist() == [False, True, False]


def test_each_show_may_have_its_own(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,1", "u,a,save,2,q,", "u,a,show,3,q,1", "u,a,save,4,q,", "u,a,save,5,q,")
    assert shows.saved.tolist() == [True, True]


def test_other_users_items_and_queries_are_others(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,1", "v,a,save,2,q,", "u,b,save,2,q,", "u,a,save,2,r,", "v,a,show,3,q,1")
    assert shows.saved.tolist() == [False, False]


def test_a_save_without_a_query_is_of_the_last_show_anywhere(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,1", "u,a,show,2,,", "u,a,show,3,r,2", "u,a,save,4,,")
    assert shows.saved.tolist() == [False, False, True]
    assert shows.queries.tolist()[1] == UNKNOWN


def test_a_save_with_a_query_is_not_of_a_later_show_beside_another(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,1", "u,a,show,2,r,1", "u,a,save,3,q,")
    assert shows.saved.tolist() == [True, False]


def test_saves_alone(tmp_path: Path) -> None:
    assert len(of(tmp_path, "u,a,save,1,q,")) == 0


def test_where(tmp_path: Path) -> None:
    shows = of(tmp_path, "u,a,show,1,q,1", "v,a,show,2,q,7")
    assert shows.where(shows.positions == 7).users.tolist() == [1]
