"""The registry's rows: what is known of a data set without its files."""

from transfer.datasets.registry import SPECS, training_images


def test_training_sizes_are_the_published_ones():
    assert training_images("voc_2007_trainval") + training_images("voc_2012_trainval") == 16_551
    assert training_images("coco_2017_train") == 118_287 - 1_021  # those with nothing but crowds or nothing
    densepose = ("train", "valminusminival")
    assert sum(training_images(f"densepose_coco_2014_{split}") for split in densepose) == 32_421
    tasks = ("instance_seg", "sem_seg")
    assert {training_images(f"cityscapes_fine_{task}_train") for task in tasks} == {2_975}
    assert training_images("voc_2012_sem_seg_train_aug") == 10_582


def test_other_sizes_are_not_known_before_the_data_are_read():
    assert training_images("my cells") is None
    assert all(SPECS[name].training_images is None for name in SPECS if "val" in name.split("_"))
