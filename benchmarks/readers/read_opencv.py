"""Read QR codes in PNG files: python read_opencv.py FILE ...; as read.js does."""

import json
import sys

import cv2

DETECTORS = {
    "OpenCV": cv2.QRCodeDetector(),
    "OpenCV, aruco": cv2.QRCodeDetectorAruco(),
}

for file in sys.argv[1:]:
    picture = cv2.imread(file)
    found = {}
    for name, detector in DETECTORS.items():
        try:
            found[name] = detector.detectAndDecode(picture)[0] or None
        except (cv2.error, UnicodeDecodeError):
            found[name] = None
    print(json.dumps(found))
