"""What if, in a notebook: circumstances change, groups are made anew, and the difference tells how."""

from simkit.notebook import Host, diff

H100 = Host.load("hgx-h100")


def test_other_bits_merge_groups_and_the_difference_says_by_which_rule() -> None:
    (row,) = diff(H100, H100.what_if(acs={"0000:00:01.1": ""})).groups.rows
    assert row[0] == "merged"
    assert "0000:00:01.1, on the way up, does not isolate" in row[3]


def test_kernel_command_line_and_firmware_are_a_reboot() -> None:
    assert diff(H100, H100.what_if(kernel="7.3", bios={"ats": False})).groups.rows == ()
    assert {row[0] for row in diff(H100, H100.what_if(cmdline="amd_iommu=off")).groups.rows} == {"lost"}
    assert "<table>" in diff(H100, H100.what_if(bios={"acs": False}))._repr_html_()
